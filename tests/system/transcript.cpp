#include "tests/system/transcript.hpp"

#include <algorithm>

namespace confab::system_tests {
namespace {

// lengths[i][j]: of the longest common subsequence of the lines from i and from j on.
std::vector<std::vector<std::size_t>> common_lengths(const std::vector<std::string>& a,
                                                     const std::vector<std::string>& b) {
    std::vector<std::vector<std::size_t>> lengths(a.size() + 1, std::vector<std::size_t>(b.size() + 1, 0));
    for (std::size_t i = a.size(); i-- > 0;) {
        for (std::size_t j = b.size(); j-- > 0;) {
            lengths[i][j] =
                a[i] == b[j] ? lengths[i + 1][j + 1] + 1 : std::max(lengths[i + 1][j], lengths[i][j + 1]);
        }
    }
    return lengths;
}

}  // namespace

void Transcript::note_lines(Client& client, int count, Client::Where where) {
    for (int number = 0; number < count; ++number) note(client.line(where));
}

void Transcript::note_rest(Client& client, Client::Where where) {
    const Rest rest = client.rest(where);
    std::string_view bytes = rest.bytes;
    while (!bytes.empty()) {
        const std::string_view line = bytes.substr(0, bytes.find('\n'));
        const bool is_whole = line.size() < bytes.size();
        note(std::string(line) + (is_whole ? "" : " (without LF)"));
        bytes.remove_prefix(line.size() + (is_whole ? 1 : 0));
    }
    note(std::string("<") + name_of(rest.ending) + ">");
}

void Transcript::note_rest_against(Client& client, std::string_view expected, Client::Where where) {
    const Rest rest = client.rest(where);
    const auto differ = std::ranges::mismatch(rest.bytes, expected);
    const auto same = differ.in1 - rest.bytes.begin();
    if (rest.bytes == expected) {
        note("<as expected>");
    } else {
        note("<" + std::to_string(rest.bytes.size()) + " bytes, as expected up to " + std::to_string(same) +
             ">");
    }
    note(std::string("<") + name_of(rest.ending) + ">");
}

std::string difference(const Transcript& expected, const Transcript& got) {
    const std::vector<std::string>& a = expected.lines();
    const std::vector<std::string>& b = got.lines();
    if (a == b) return {};
    const auto lengths = common_lengths(a, b);
    std::string text;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() || j < b.size()) {
        if (i < a.size() && j < b.size() && a[i] == b[j]) {
            text += "  " + a[i] + "\n";
            ++i;
            ++j;
        } else if (j == b.size() || (i < a.size() && lengths[i + 1][j] >= lengths[i][j + 1])) {
            text += "- " + a[i++] + "\n";
        } else {
            text += "+ " + b[j++] + "\n";
        }
    }
    return text;
}

}  // namespace confab::system_tests
