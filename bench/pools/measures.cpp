#include "bench/pools/measures.hpp"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace confab::bench {

int measure_and_print(const char* program, const Options& options, const std::vector<Contender>& contenders) {
    std::vector<std::vector<double>> figures(contenders.size());
    bool right = true;
    for (std::uint64_t round = 0; round <= options.rounds; ++round) {
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            const std::uint64_t count = (options.count / contenders[i].share + 1) / 2 * 2;
            const Sample sample = contenders[i].run(count);
            right = right && sample.is_right;
            if (round > 0) figures[i].push_back(sample.nanoseconds / static_cast<double>(count));
        }
    }
    std::printf("{\"rounds\":%llu,\"count\":%llu,\"measures\":{",
                static_cast<unsigned long long>(options.rounds),
                static_cast<unsigned long long>(options.count));
    for (std::size_t i = 0; i < contenders.size(); ++i) {
        const bool first = i == 0 || contenders[i - 1].measure != contenders[i].measure;
        if (first) std::printf("%s\"%s\":{", i == 0 ? "" : "},", contenders[i].measure.c_str());
        std::printf("%s\"%s\":[", first ? "" : ",", contenders[i].name.c_str());
        for (std::size_t n = 0; n < figures[i].size(); ++n)
            std::printf("%s%.2f", n == 0 ? "" : ",", figures[i][n]);
        std::fputs("]", stdout);
    }
    std::fputs("}}}\n", stdout);
    if (!right) std::fprintf(stderr, "%s: something came out wrong\n", program);
    return right ? 0 : 1;
}

namespace {

constexpr const char* usage = R"(usage: %s [--rounds N] [--count N]
  --rounds N   samples of each measure and contender (default 40)
  --count N    operations a sample, fewer where an operation takes long (default 100000)
)";

std::uint64_t parse_number(const char* program, const char* name, const char* text) {
    std::uint64_t value = 0;
    const char* const end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    if (error != std::errc() || rest != end || value == 0 || value > 1'000'000'000) {
        std::fprintf(stderr, "%s: --%s %s: a number from 1 to 1000000000\n", program, name, text);
        std::exit(2);
    }
    return value;
}

}  // namespace

Options parse_options(const char* program, int argc, char** argv) {
    static constexpr std::array<option, 4> known{{{"rounds", required_argument, nullptr, 'r'},
                                                  {"count", required_argument, nullptr, 'c'},
                                                  {"help", no_argument, nullptr, 'h'},
                                                  {nullptr, 0, nullptr, 0}}};
    Options options;
    for (int letter; (letter = getopt_long(argc, argv, "", known.data(), nullptr)) != -1;) {
        if (letter == '?') std::exit(2);
        if (letter == 'h') {
            std::printf(usage, program);
            std::exit(0);
        }
        if (letter == 'r') options.rounds = parse_number(program, "rounds", optarg);
        if (letter == 'c') options.count = parse_number(program, "count", optarg);
    }
    if (optind != argc) {
        std::fprintf(stderr, usage, program);
        std::exit(2);
    }
    return options;
}

}  // namespace confab::bench
