#include "pools/scheduling.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <stdexcept>

namespace confab {

namespace {

std::optional<ready_job> pop_front(std::deque<ready_job>& jobs) {
    if (jobs.empty()) return std::nullopt;
    const ready_job job = jobs.front();
    jobs.pop_front();
    return job;
}

}  // namespace

std::optional<ready_job> first_come_first_served::next() { return pop_front(jobs_); }

std::optional<ready_job> shortest_job_first::next() {
    if (jobs_.empty()) return std::nullopt;
    return jobs_.extract(jobs_.begin()).value().job;
}

bool shortest_job_first::must_make_room(const ready_job& working) const {
    return preemption_ == preemption::yes && !jobs_.empty() &&
           jobs_.begin()->expected_left < working.expected_left;
}

round_robin::round_robin(ticks quantum) : quantum_(quantum) {
    if (quantum == 0) throw std::invalid_argument("a quantum of nothing would never let anybody work");
}

void round_robin::put_back(ready_job job) {
    job.used = 0;
    jobs_.push_back(job);
}

std::optional<ready_job> round_robin::next() { return pop_front(jobs_); }

std::vector<ticks> doubling(ticks first_quantum, std::size_t queues) {
    std::vector<ticks> quanta;
    for (ticks quantum = first_quantum; quanta.size() < queues; quantum *= 2) quanta.push_back(quantum);
    return quanta;
}

feedback_queues::feedback_queues(std::vector<ticks> quanta)
    : quanta_(std::move(quanta)), queues_(quanta_.size()) {
    if (quanta_.empty() || std::ranges::count(quanta_, 0U) > 0) {
        throw std::invalid_argument("feedback takes a queue at least, and each must allow something");
    }
}

void feedback_queues::put_back(ready_job job) {
    if (job.used >= quanta_[job.level]) {
        job.used = 0;
        job.level = std::min(job.level + 1, queues_.size() - 1);
    }
    queues_[job.level].push_back(job);
}

std::optional<ready_job> feedback_queues::next() {
    for (std::deque<ready_job>& queue : queues_) {
        if (!queue.empty()) return pop_front(queue);
    }
    return std::nullopt;
}

bool feedback_queues::must_make_room(const ready_job& working) const {
    return std::any_of(queues_.begin(), queues_.begin() + static_cast<std::ptrdiff_t>(working.level),
                       [](const auto& queue) { return !queue.empty(); });
}

// --- The simulation ---------------------------------------------------------------------------------------

namespace {

class Processor {
  public:
    Processor(scheduling_policy& policy, schedule& result)
        : policy_(policy), result_(result), left_(result.jobs.size()) {
        by_arrival_.resize(result.jobs.size());
        std::iota(by_arrival_.begin(), by_arrival_.end(), 0U);
        std::ranges::sort(by_arrival_, {},
                          [&](std::size_t job) { return std::pair(result_.jobs[job].arrival, job); });
        for (std::size_t job = 0; job < left_.size(); ++job) left_[job] = result_.jobs[job].length;
        result_.of_jobs.resize(result_.jobs.size());
    }

    void run() {
        while (true) {
            admit();
            if (std::optional<ready_job> job = policy_.next()) {
                work(*job);
            } else if (arrived_ < by_arrival_.size()) {
                now_ = result_.jobs[by_arrival_[arrived_]].arrival;
            } else {
                return;
            }
        }
    }

  private:
    // Makes ready what has arrived by now.
    void admit() {
        for (; arrived_ < by_arrival_.size() && result_.jobs[by_arrival_[arrived_]].arrival <= now_;
             ++arrived_) {
            policy_.add(
                {.id = by_arrival_[arrived_], .expected_left = result_.jobs[by_arrival_[arrived_]].length});
        }
    }

    // Until its end, that of its slice, or that it has to make room.
    void work(ready_job job) {
        const simulated_job& facts = result_.jobs[job.id];
        const ticks begin = now_;
        if (left_[job.id] == facts.length) result_.of_jobs[job.id].response = begin - facts.arrival;
        const ticks slice = policy_.slice(job);
        const ticks end = begin + std::min(left_[job.id], slice);
        do {
            const ticks stop = arrived_ < by_arrival_.size()
                                   ? std::min(end, result_.jobs[by_arrival_[arrived_]].arrival)
                                   : end;
            const ticks worked = stop - now_;
            left_[job.id] -= worked;
            job.expected_left -= worked;
            job.used += worked;
            now_ = stop;
            admit();
        } while (now_ < end && !policy_.must_make_room(job));
        note(job.id, begin);
        if (left_[job.id] > 0) {
            policy_.put_back(job);
        } else {
            const ticks turnaround = now_ - facts.arrival;
            result_.of_jobs[job.id].turnaround = turnaround;
            result_.of_jobs[job.id].waiting = turnaround - facts.length;
        }
    }

    void note(std::size_t job, ticks begin) {
        auto& stretches = result_.stretches;
        if (!stretches.empty() && stretches.back().job == job && stretches.back().end == begin) {
            stretches.back().end = now_;
        } else if (begin < now_) {
            stretches.push_back({job, begin, now_});
        }
    }

    scheduling_policy& policy_;
    schedule& result_;
    std::vector<ticks> left_;
    std::vector<std::size_t> by_arrival_;
    std::size_t arrived_ = 0;  // of those
    ticks now_ = 0;
};

double average(const std::vector<schedule::times>& all, ticks schedule::times::* which) {
    if (all.empty()) return 0;
    ticks sum = 0;
    for (const schedule::times& each : all) sum += each.*which;
    return static_cast<double>(sum) / static_cast<double>(all.size());
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(width, text.size()), ' ');
    return text;
}

std::string in_front(const std::string& text, std::size_t width) {
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

std::string with_two_places(double number) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.2f", number);
    return text.data();
}

}  // namespace

schedule simulate(scheduling_policy& policy, std::vector<simulated_job> jobs) {
    schedule result;
    result.jobs = std::move(jobs);
    Processor(policy, result).run();
    return result;
}

double schedule::average_waiting() const { return average(of_jobs, &times::waiting); }
double schedule::average_turnaround() const { return average(of_jobs, &times::turnaround); }
double schedule::average_response() const { return average(of_jobs, &times::response); }

std::string schedule::chart(std::size_t width) const {
    const ticks last = stretches.empty() ? 0 : stretches.back().end;
    const ticks ticks_per_column = width == 0 ? 1 : std::max<ticks>(1, (last + width - 1) / width);
    std::string bars;
    std::string numbers;
    // A bar and, below it, the time; further to the right where names and numbers need the room.
    const auto mark = [&](ticks time) {
        std::size_t column = std::max<std::size_t>(time / ticks_per_column, bars.size());
        if (!numbers.empty()) column = std::max(column, numbers.size() + 1);
        bars = padded(std::move(bars), column) + '|';
        numbers = padded(std::move(numbers), column) + std::to_string(time);
    };
    ticks end = 0;
    mark(end);
    for (const stretch& each : stretches) {
        if (each.begin != end) mark(each.begin);
        bars += jobs[each.job].name;
        end = each.end;
        mark(end);
    }
    return bars + '\n' + numbers + '\n';
}

std::string schedule::table() const {
    constexpr std::size_t column = 12;
    std::size_t longest = std::string_view("average").size();
    for (const simulated_job& job : jobs) longest = std::max(longest, job.name.size());
    const auto row = [&](std::string name, const std::string& waiting, const std::string& turnaround,
                         const std::string& response) {
        return padded(std::move(name), longest) + in_front(waiting, column) + in_front(turnaround, column) +
               in_front(response, column) + '\n';
    };
    std::string text = row("", "waiting", "turnaround", "response");
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const times& it = of_jobs[i];
        text += row(jobs[i].name, std::to_string(it.waiting), std::to_string(it.turnaround),
                    std::to_string(it.response));
    }
    return text + row("average", with_two_places(average_waiting()), with_two_places(average_turnaround()),
                      with_two_places(average_response()));
}

}  // namespace confab
