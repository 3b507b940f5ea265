// Draws the page from the figures that are in it. Says in the root element's data-drawn how many charts there
// are, and in data-error what went wrong.
"use strict";

window.addEventListener("error", (event) => {
    document.documentElement.dataset.error = event.message;
});

const data = JSON.parse(document.getElementById("figures").textContent);
const main = document.querySelector("main");
const charts = [];  // how to draw each of them again

// --- Elements ---

function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

function table(head, rows, attributes = {}) {
    const cell = (name) => (value) =>
        value instanceof Node ? value : element(name, {}, value === null || value === undefined ? "–" : String(value));
    return element("div", { class: "scroll" }, element("table", attributes,
        element("thead", {}, element("tr", {}, ...head.map(cell("th")))),
        element("tbody", {}, ...rows.map((row) => element("tr", { class: row.class ?? "" }, ...(row.cells ?? row).map(cell("td")))))));
}

// --- Figures ---

function text(value, digits = 3) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en-GB").replaceAll(",", "\u202f");
    return String(Number(value.toPrecision(digits)));
}

const figure = (row, name) => row.figures[name]?.value ?? null;
const withoutTwin = (rows) => rows.filter((row) => row.contender !== data.twin);
const percent = (floor) => (floor === null ? "unknown" : `${text(100 * (floor - 1), 2)} %`);
const join = (names) => names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

function workloads() {
    const grouped = new Map();
    for (const place of data.places) {
        if (!grouped.has(place.workload)) grouped.set(place.workload, []);
        grouped.get(place.workload).push(place);
    }
    return grouped;
}

// Of several levels the one that a quick run has.
const representative = (places) => places.find((place) => place.representative) ?? places[0];

// --- Colours: told apart by hue, and beyond that by dashes ---

const hues = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#8d6cab", "#b07aa1", "#9c755f", "#17a2a2", "#d4a300", "#e377c2",
    "#7f8c8d", "#2ca02c", "#bcbd22", "#3a6fd8", "#c0392b", "#16a085"];
const names = data.contenders.filter((name) => name !== data.twin);
const hueOf = (name) => hues[Math.max(names.indexOf(name), 0) % hues.length];
const markOf = (name) => ["circle", "rect", "triangle", "rectRot", "star", "crossRot"][Math.max(names.indexOf(name), 0) % 6];
const dashesOf = (name) => (names.indexOf(name) >= 8 ? [6, 4] : []);
const inPrint = window.matchMedia("print");
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// --- Charts ---

// Lines from low to high over the bars or points of a dataset that has `whiskers`.
const whiskers = {
    id: "whiskers",
    afterDatasetsDraw(chart) {
        const { ctx } = chart;
        chart.data.datasets.forEach((dataset, index) => {
            if (!dataset.whiskers || !chart.isDatasetVisible(index)) return;
            const across = chart.options.indexAxis === "y" || dataset.type === "scatter" || chart.config.type === "scatter";
            const scale = across ? chart.scales.x : chart.scales.y;
            ctx.save();
            ctx.strokeStyle = variable("--ink");
            ctx.lineWidth = 1.3;
            chart.getDatasetMeta(index).data.forEach((point, i) => {
                const [low, high] = dataset.whiskers[i] ?? [null, null];
                if (low === null || high === null) return;
                const from = scale.getPixelForValue(low), to = scale.getPixelForValue(high);
                ctx.beginPath();
                if (across) {
                    ctx.moveTo(from, point.y); ctx.lineTo(to, point.y);
                    for (const x of [from, to]) { ctx.moveTo(x, point.y - 4); ctx.lineTo(x, point.y + 4); }
                } else {
                    ctx.moveTo(point.x, from); ctx.lineTo(point.x, to);
                }
                ctx.stroke();
            });
            ctx.restore();
        });
    },
};

// Stretches of an axis with another ground, and lines across: options.plugins.ground = {bands: [...], lines: [...]}.
const ground = {
    id: "ground",
    beforeDatasetsDraw(chart, _, options) {
        const { ctx, chartArea: area } = chart;
        const place = (axis, value) => Math.min(Math.max(chart.scales[axis].getPixelForValue(value),
            axis === "x" ? area.left : area.top), axis === "x" ? area.right : area.bottom);
        ctx.save();
        for (const { axis, from, to } of options.bands ?? []) {
            ctx.fillStyle = variable("--band");
            const [a, b] = [place(axis, from), place(axis, to)];
            if (axis === "x") ctx.fillRect(a, area.top, b - a, area.bottom - area.top);
            else ctx.fillRect(area.left, b, area.right - area.left, a - b);
        }
        for (const { axis, at } of options.lines ?? []) {
            ctx.strokeStyle = variable("--faint");
            ctx.setLineDash([5, 4]);
            ctx.beginPath();
            const pixel = place(axis, at);
            if (axis === "x") { ctx.moveTo(pixel, area.top); ctx.lineTo(pixel, area.bottom); }
            else { ctx.moveTo(area.left, pixel); ctx.lineTo(area.right, pixel); }
            ctx.stroke();
        }
        ctx.restore();
    },
};

function scale(title, more = {}) {
    return {
        title: { display: Boolean(title), text: title, color: variable("--faint") },
        ticks: { color: variable("--faint"), ...more.ticks },
        grid: { color: variable("--line"), ...more.grid },
        ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== "ticks" && key !== "grid")),
    };
}

// Powers of ten and what is between 1, 2 and 5 of them; all would run into each other.
const logarithmic = (title, more = {}) => scale(title, {
    type: "logarithmic",
    ticks: { callback: (value) => (/^[125]/.test(String(value / 10 ** Math.floor(Math.log10(value)))) ? text(value) : "") },
    ...more,
});

// `make` gives the chart's configuration; it is asked again when the colours change.
function chart(title, sentence, height, make) {
    const canvas = element("canvas", { role: "img", "aria-label": `${title}. ${sentence}` });
    const holder = element("div", { style: `height: ${height}px` }, canvas);
    let drawn = null;
    charts.push(() => {
        drawn?.destroy();
        const config = make();
        config.options = {
            responsive: true, maintainAspectRatio: false, animation: false, devicePixelRatio: Math.max(window.devicePixelRatio, 2),
            ...config.options,
            plugins: {
                legend: { display: config.data.datasets.length > 1, position: "bottom",
                    labels: { color: variable("--ink"), usePointStyle: true, boxWidth: 8, boxHeight: 8 } },
                ...config.options?.plugins,
            },
        };
        config.plugins = [whiskers, ground];
        drawn = new Chart(canvas, config);
        return drawn;
    });
    return element("figure", {}, element("h3", {}, title), holder, element("figcaption", {}, sentence));
}

const barHeight = (rows) => 27 * rows.length + 96;

function costChart(place) {
    const rows = place.rows.filter((row) => figure(row, "cpu_us") !== null)
        .sort((a, b) => figure(a, "cpu_us") - figure(b, "cpu_us"));
    if (rows.length < 2) return null;
    const sound = rows.filter((row) => row.served_share >= 1);
    const best = sound[0] ?? rows[0], worst = sound.at(-1) ?? rows.at(-1);
    return chart(`What a request costs the server (${place.level})`,
        `Each bar is processor time a request, below in the program and above in the kernel; the line across its end is where the ` +
        `median lies with 95 % confidence. ${best.contender} spends least, ${text(figure(best, "cpu_us"))} µs; ${worst.contender} ` +
        `${text(figure(worst, "cpu_us") / figure(best, "cpu_us"), 2)} times as much.`,
        barHeight(rows), () => ({
            type: "bar",
            data: {
                labels: rows.map((row) => row.contender + (row.served_share < 1 ? " (starving)" : "")),
                datasets: [
                    { label: "in the program", data: rows.map((row) => figure(row, "user_us")), backgroundColor: "#4e79a7" },
                    { label: "in the kernel", data: rows.map((row) => figure(row, "cpu_us") - (figure(row, "user_us") ?? 0)), backgroundColor: "#f2a65a",
                        whiskers: rows.map((row) => [row.figures.cpu_us.low, row.figures.cpu_us.high]) },
                ],
            },
            options: { indexAxis: "y", scales: {
                x: scale("microseconds a request", { stacked: true, beginAtZero: true, suggestedMax: Math.max(...rows.map((row) => row.figures.cpu_us.high)) * 1.02 }),
                y: scale("", { stacked: true, ticks: { autoSkip: false }, grid: { display: false } }) } },
        }));
}

function memoryChart(place) {
    const rows = place.rows.filter((row) => row.contender !== data.twin && figure(row, "memory_kib") !== null)
        .sort((a, b) => figure(a, "memory_kib") - figure(b, "memory_kib"));
    if (rows.length < 2) return null;
    return chart(`Memory of an idle connection (${place.level})`,
        "Proportional set size of the server and all its children, divided by the idle connections; above it page tables and the " +
        "stacks that the kernel keeps for threads. A connection with a thread or a process of its own keeps what that needs. " +
        "What the sockets themselves take is the same for all, and not in it.",
        barHeight(rows), () => ({
            type: "bar",
            data: {
                labels: rows.map((row) => row.contender),
                datasets: [
                    { label: "the server's (PSS)", data: rows.map((row) => figure(row, "memory_kib")), backgroundColor: "#59a14f" },
                    { label: "the kernel's", data: rows.map((row) => figure(row, "kernel_kib")), backgroundColor: "#f2a65a" },
                ],
            },
            options: { indexAxis: "y", scales: { x: scale("KiB a connection", { stacked: true }),
                y: scale("", { stacked: true, ticks: { autoSkip: false }, grid: { display: false } }) } },
        }));
}

function ratioChart(place) {
    const metric = data.metrics[place.decided_by];
    const floor = place.noise[place.decided_by] ?? null, noise = floor ?? 1;
    const rows = place.rows.filter((row) => row.contender !== data.reference && row.block_ratios.length > 0);
    if (rows.length === 0) return null;
    const index = (row) => rows.indexOf(row);
    const all = rows.flatMap((row) => [...row.block_ratios, row.figures[place.decided_by]?.ratio_low, row.figures[place.decided_by]?.ratio_high])
        .filter((ratio) => ratio).concat(1 / noise, noise);
    const color = (row) => ({ better: variable("--good"), worse: variable("--bad") })[row.figures[place.decided_by]?.verdict] ?? variable("--faint");
    return chart(`${metric.title}, against ${data.reference}`,
        `A point is one block: this strategy's figure divided by what ${data.reference} had a moment before or after. The line is ` +
        `where the median lies with 95 % confidence; the grey band is as far as ${data.reference} may be from itself (${percent(floor)}): ` +
        `whoever is inside it is indistinguishable. ${metric.more_is_better ? "To the right is better." : "To the left is better."}`,
        barHeight(rows), () => ({
            type: "scatter",
            data: { datasets: [
                { label: "blocks", data: rows.flatMap((row) => row.block_ratios.map((ratio) => ({ x: ratio, y: index(row) }))),
                    backgroundColor: variable("--faint"), pointRadius: 2.2 },
                { label: "median", data: rows.map((row) => ({ x: row.figures[place.decided_by].ratio, y: index(row) })),
                    whiskers: rows.map((row) => [row.figures[place.decided_by].ratio_low, row.figures[place.decided_by].ratio_high]),
                    backgroundColor: rows.map(color), borderColor: rows.map(color), pointRadius: 5, pointStyle: "rectRot" },
            ] },
            options: {
                scales: {
                    x: logarithmic(`ratio to ${data.reference}`, { min: Math.min(...all) / 1.1, max: Math.max(...all) * 1.1 }),
                    y: scale("", { min: -0.6, max: rows.length - 0.4, reverse: true, grid: { display: false },
                        afterBuildTicks: (axis) => { axis.ticks = rows.map((_, i) => ({ value: i })); },
                        ticks: { autoSkip: false, callback: (value) => rows[value]?.contender ?? "" } }),
                },
                plugins: { ground: { bands: [{ axis: "x", from: 1 / noise, to: noise }], lines: [{ axis: "x", at: 1 }] } },
            },
        }));
}

const line = (name, points, more = {}) => ({
    label: name, data: points, borderColor: hueOf(name), backgroundColor: hueOf(name), borderDash: dashesOf(name), borderWidth: 1.8,
    pointRadius: 3, pointStyle: markOf(name), tension: 0, ...more,
});

// One line a contender over the levels of a workload.
function scalingChart(places, name, title, sentence, axes = {}) {
    if (places.length < 2 || !places[0].x_title) return null;
    const series = names.map((contender) => [contender, places.flatMap((place) => {
        const row = place.rows.find((each) => each.contender === contender);
        const value = row ? figure(row, name) : null;
        return value === null || row.served_share < 1 ? [] : [{ x: place.x, y: value }];
    })]).filter(([, points]) => points.length > 0);
    if (series.length === 0) return null;
    return chart(title, sentence, 380, () => ({
        type: "scatter",
        data: { datasets: series.map(([contender, points]) => line(contender, points, { showLine: true })) },
        options: { scales: { x: scale(places[0].x_title, { beginAtZero: true, ...axes.x }), y: axes.y?.() ?? scale(data.metrics[name].title, { beginAtZero: true }) },
            plugins: { ground: axes.ground ?? {} } },
    }));
}

function latencyChart(places) {
    if (places.length < 2) return null;
    const limit = data.goodput_limit_ms;
    const series = names.flatMap((contender) => [["p99_ms", ""], ["p50_ms", " p50"]].map(([name, suffix]) => [contender, suffix,
        places.flatMap((place) => {
            const row = place.rows.find((each) => each.contender === contender);
            const value = row ? figure(row, name) : null;
            return value === null || row.served_share < 1 ? [] : [{ x: place.x, y: value }];
        })])).filter(([, , points]) => points.length > 0);
    if (series.length === 0) return null;
    return chart("How long people wait, by how much is asked of the server",
        `Solid: 99 of 100 requests were answered by then; thin: one in two. Latency counts from when a request was due, so a server that ` +
        `falls behind is seen to. Dashed across: ${limit} ms. 100 % is what ${data.reference} can do when it is asked for all it has.`,
        440, () => ({
            type: "scatter",
            data: { datasets: series.map(([contender, suffix, points]) => line(contender, points,
                { label: contender + suffix, showLine: true, ...(suffix ? { borderWidth: 0.8, pointRadius: 1.5 } : {}) })) },
            options: {
                scales: { x: scale(places[0].x_title), y: logarithmic("milliseconds") },
                plugins: { ground: { lines: [{ axis: "y", at: limit }] },
                    legend: { position: "bottom", labels: { color: variable("--ink"), usePointStyle: true, boxWidth: 8, filter: (item) => !item.text.endsWith(" p50") } } },
            },
        }));
}

function spectrumChart(place) {
    const rows = withoutTwin(place.rows).filter((row) => row.corrected?.length > 2 && row.served_share >= 1);
    if (rows.length === 0) return null;
    const open = rows.some((row) => row.uncorrected.length > 2);
    return chart(`Every percentile (${place.level})`,
        `How long the slowest one in so many requests took, over all blocks.` +
        (open ? " Solid: from when it was due, which is what a person waits; dotted: from when it was sent, which hides the wait for a free connection." : "") +
        " A curve ends where fewer than ten requests lie beyond it.",
        400, () => ({
            type: "scatter",
            data: { datasets: rows.flatMap((row) => {
                const points = (curve) => curve.map(([x, y]) => ({ x, y }));
                return [line(row.contender, points(row.corrected), { showLine: true, pointRadius: 0, stepped: false }),
                    ...(row.uncorrected.length > 2 ? [line(row.contender, points(row.uncorrected),
                        { label: `${row.contender}, uncorrected`, showLine: true, pointRadius: 0, borderDash: [2, 3], borderWidth: 1 })] : [])];
            }) },
            options: {
                scales: { x: logarithmic("one in so many (2: the median, 100: p99, 1000: p99.9)"), y: logarithmic("milliseconds") },
                plugins: { legend: { position: "bottom", labels: { color: variable("--ink"), usePointStyle: true, pointStyle: "line", filter: (item) => !item.text.endsWith("uncorrected") } } },
            },
        }));
}

function timelineChart(place) {
    const rows = withoutTwin(place.rows).filter((row) => row.course.length > 0 && row.served_share >= 1);
    if (rows.length === 0) return null;
    const seconds = data.settings.seconds;
    return chart("Through the spike",
        "The rate at which requests were answered, median of the blocks. In the grey third twice the capacity is asked for: who stays flat there " +
        "keeps doing what it can; the tail behind it is the backlog being worked off.",
        380, () => ({
            type: "scatter",
            data: { datasets: rows.map((row) => line(row.contender, row.course.map(([x, y]) => ({ x, y })), { showLine: true, pointRadius: 1.5 })) },
            options: { scales: { x: scale("seconds"), y: scale("requests/s", { beginAtZero: true }) },
                plugins: { ground: { bands: [{ axis: "x", from: seconds / 3, to: 2 * seconds / 3 }] } } },
        }));
}

function fairnessChart(place) {
    const rows = place.rows.filter((row) => row.shares.length > 2);
    if (rows.length < 2) return null;
    return chart(`Fairness: what each connection got (${place.level})`,
        "A mark is a connection, at what it got of an equal share (4 and more at 4): all at 1 is fair, who is at 0 was starved.",
        barHeight(rows), () => ({
            type: "scatter",
            data: { datasets: [{ label: "connections", data: rows.flatMap((row, i) => row.shares.map((share) => ({ x: Math.min(share, 4), y: i }))),
                pointStyle: "line", rotation: 90, pointRadius: 7, borderColor: rows.flatMap((row) => row.shares.map(() => hueOf(row.contender))) }] },
            options: { scales: {
                x: scale("share of an equal part", { beginAtZero: true, suggestedMax: 2 }),
                y: scale("", { min: -0.6, max: rows.length - 0.4, reverse: true, grid: { display: false },
                    afterBuildTicks: (axis) => { axis.ticks = rows.map((_, i) => ({ value: i })); },
                    ticks: { autoSkip: false, callback: (value) => rows[value]?.contender ?? "" } }) },
                plugins: { ground: { lines: [{ axis: "x", at: 1 }] } } },
        }));
}

// --- Tables ---

function decisionBox(decision, level) {
    if (!decision.pick) return element("div", { class: "decision" }, element("p", {}, element("strong", {}, level), ` – no choice: ${decision.why}.`));
    return element("div", { class: "decision" },
        element("p", {}, element("strong", {}, `${level} – pick ${decision.pick}`), ` (${decision.why}).`),
        decision.within_noise.length ? element("p", {}, `Within noise: ${join(decision.within_noise)}.`) : null,
        decision.unclear.length ? element("p", {}, `Too few blocks to tell: ${join(decision.unclear)}.`) : null,
        decision.avoid.length ? element("details", {}, element("summary", {}, `Avoid ${join(decision.avoid.map((each) => each.contender))}`),
            ...decision.avoid.map((each) => element("p", {}, element("strong", {}, each.contender), `: ${each.why}.`))) : null);
}

function figureTable(place) {
    const columns = ["rate", "p50_ms", "p99_ms", "cpu_us", "user_us", "system_us", "switches", "preemptions", "system_calls", "controls",
        "events", "memory_kib", "kernel_kib", "fairness", "goodput", "recovery_s", "never_sent"]
        .filter((name) => place.rows.some((row) => figure(row, name) !== null && (name !== "never_sent" || figure(row, name) > 0)));
    const rows = place.rows.map((row) => {
        const summary = row.figures[place.decided_by];
        const isTwin = row.contender === data.twin, isReference = row.contender === data.reference;
        const verdict = isReference ? "reference" : isTwin ? "noise" : summary?.verdict ?? "–";
        return {
            class: isReference ? "reference" : isTwin ? "twin" : "",
            cells: [row.contender + (row.limited ? " *" : "") + (row.outliers ? " !" : ""), ...columns.map((name) => text(figure(row, name))),
                row.failure ? "failed" : row.served_share < 1 ? `${Math.round(100 * row.served_share)} %` : "all",
                summary?.ratio ? `${text(summary.ratio, 2)} (${text(summary.ratio_low, 2)}–${text(summary.ratio_high, 2)})` : "–",
                element("td", { class: verdict }, verdict)],
        };
    });
    return table(["", ...columns.map((name) => data.metrics[name].title), "served", `${data.metrics[place.decided_by].title} / ${data.reference}`, "verdict"], rows);
}

function heatMap(grouped) {
    const places = [...grouped.values()].map(representative);
    const worst = 8;  // and beyond
    const rows = names.map((name) => ({ cells: [name, ...places.map((place) => {
        const row = place.rows.find((each) => each.contender === name);
        if (!row || !row.cells) return element("td", { class: "none", title: "not measured" }, "");
        if (row.failure) return element("td", { class: "none", title: row.failure }, "failed");
        if (row.served_share < 1) return element("td", { class: "none", title: `it served ${Math.round(100 * row.served_share)} % of the connections` }, "starved");
        const best = place.rows.find((each) => each.contender === place.decision.pick);
        const mine = figure(row, place.decided_by), its = best ? figure(best, place.decided_by) : null;
        if (mine === null || its === null) return element("td", { class: "none", title: "the generator's figures, not the server's" }, "?");
        const times = data.metrics[place.decided_by].more_is_better ? its / mine : mine / its;
        if (name === place.decision.pick) return element("td", { class: "same pick" }, "best");
        if (place.decision.within_noise.includes(name)) return element("td", { class: "same", title: "within noise" }, `${text(times, 2)}×`);
        const heat = Math.min(Math.max(Math.log(times) / Math.log(worst), 0.05), 1);
        return element("td", { style: `background: hsla(${Math.round(45 - 45 * heat)}, 85%, 50%, ${0.15 + 0.45 * heat})` }, `${text(times, 2)}×`);
    })] }));
    return element("figure", {}, element("h3", {}, "Who is good at what"),
        table(["", ...places.map((place) => element("th", { title: `${place.title}: ${place.level}` }, place.workload))], rows, { class: "heat" }),
        element("figcaption", {}, "How many times worse than the best in each load, by the figure that decides it. Grey: indistinguishable from the best. " +
            "Starved: some of its connections never had an answer. Below, (?): too few blocks to tell."));
}

function decisionTable(grouped) {
    return table(["load", "pick", "within noise", "avoid"], [...grouped.values()].flat().map((place) => [
        `${place.workload} ${place.title}: ${place.level}`,
        place.decision.pick ? element("td", { title: place.decision.why }, element("strong", {}, place.decision.pick)) : `none: ${place.decision.why}`,
        [...place.decision.within_noise, ...place.decision.unclear.map((name) => `${name} (?)`)].join(", ") || "–",
        place.decision.avoid.map((each) => each.contender).join(", ") || "–",
    ]), { class: "text" });
}

// --- The page ---

function workloadSection(id, places) {
    const shown = representative(places);
    const figures = [
        id === "W2" ? latencyChart(places) : null,
        costChart(shown),
        ratioChart(shown),
        id !== "W2" && places.length > 1 ? scalingChart(places, shown.decided_by, `${data.metrics[shown.decided_by].title}, by ${shown.x_title}`,
            "One line a strategy, where it served every connection: a line that rises with the axis looks at every connection each time.",
            shown.decided_by === "cpu_us" ? { y: () => logarithmic(data.metrics[shown.decided_by].title) } : {}) : null,
        id === "W3" ? scalingChart(places, "rate", "Requests a second of the busy connections, by idle ones beside them",
            "Whoever is told only what has happened stays level; whoever looks at every connection each time falls.") : null,
        ...places.filter((place) => place.idle > 0).map(memoryChart),
        shown.spike ? timelineChart(shown) : null,
        spectrumChart(shown),
        fairnessChart(shown),
    ];
    return element("section", { id },
        element("h2", {}, `${id} – ${shown.title}`),
        element("p", { class: "faint" }, `What it separates: ${shown.separates}. It is decided by ${data.metrics[shown.decided_by].title}.`),
        ...places.map((place) => decisionBox(place.decision, place.level)),
        ...figures,
        ...places.map((place) => element("details", places.length === 1 ? { open: "" } : {},
            element("summary", {}, `All figures: ${place.level} (noise of ${data.metrics[place.decided_by].title}: ${percent(place.noise[place.decided_by] ?? null)})`), figureTable(place))));
}

function literatureSection() {
    if (!data.literature?.length) return null;
    return element("section", { id: "literature" }, element("h2", {}, "What others have found, on this machine"),
        table(["", "claim", "here", "figures"], data.literature.map((each) => [each.id, each.claim,
            element("td", { class: each.reproduced === "reproduced" ? "better" : each.reproduced === "not reproduced" ? "worse" : "" }, each.reproduced), each.figures]),
            { class: "text" }));
}

function page() {
    const grouped = workloads();
    main.append(
        element("h1", {}, "Strategies, compared"),
        element("p", { class: "faint" }, `${data.cells} cells in ${data.elapsed}: a fresh server each, in an order drawn anew for each of ${data.settings.blocks} blocks. ` +
            `${data.reference} runs twice, and what differs between the two is noise.`),
        element("nav", {}, ...[...grouped.keys()].map((id) => element("a", { href: `#${id}` }, `${id} ${grouped.get(id)[0].title}`))),
        data.failed ? element("p", { class: "warning" }, `${data.failed} cells failed: the tables say how.`) : "",
        data.limited ? element("p", { class: "faint" }, `In ${data.limited} cells the generator itself was late or out of processor time (*): latency, or the rate, is left out there; what the server spent is not.`) : "",
        data.places.some((place) => place.rows.some((row) => row.outliers)) ? element("p", { class: "faint" }, "Of rows with (!) some blocks lie far from the others; they count all the same.") : "",
        element("h2", {}, "What to choose"),
        grouped.size ? heatMap(grouped) : "",
        decisionTable(grouped),
        ...[...grouped].map(([id, places]) => workloadSection(id, places)),
        literatureSection() ?? "",
        element("section", {}, element("h2", {}, "Where and how this was measured"),
            element("p", {}, "The same again:"), element("pre", {}, data.command),
            table(["", ""], [...data.environment, ...Object.entries(data.settings)], { class: "text" })));
}

function drawAll() {
    document.documentElement.dataset.drawn = charts.map((draw) => draw()).filter((drawn) => drawn.width > 0 && drawn.height > 0).length;
}

page();
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
drawAll();
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
inPrint.addEventListener("change", drawAll);
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
