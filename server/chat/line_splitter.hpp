// Public: bytes in, lines out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace confab::chat {

/// The beginning of a line whose end has not come yet. Holds memory only while there is such a beginning.
class PartialLine {
  public:
    PartialLine() = default;
    PartialLine(const PartialLine&) = delete;
    PartialLine& operator=(const PartialLine&) = delete;
    ~PartialLine() { clear(); }

    std::string_view text() const { return {data_, size_}; }
    bool empty() const { return size_ == 0; }
    /// True exactly while the rest of an overlong line is being thrown away.
    bool discarding() const { return discarding_; }

    void append(std::string_view more);
    void clear();
    void discard(bool on) { discarding_ = on; }

  private:
    char* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ : 31 = 0;
    std::uint32_t discarding_ : 1 = 0;
};

struct SplitLine {
    std::string_view text{};
    /// The line is longer than allowed: `text` is empty, and what is left of the line will be skipped.
    bool overlong = false;
};

/// Cuts lines off the front of received bytes. Lines end with LF or CRLF, which are not part of them. An
/// overlong line is reported once, as soon as it is known to be one.
class LineSplitter {
  public:
    /// `limit`: bytes in a line, at most.
    LineSplitter(PartialLine& partial, std::size_t limit) : partial_(partial), limit_(limit) {}
    LineSplitter(const LineSplitter&) = delete;
    LineSplitter& operator=(const LineSplitter&) = delete;
    ~LineSplitter() { drop_returned(); }

    /// The next whole line, taken off `input`; nothing when there is none: then all of `input` was taken, and
    /// an unfinished line is kept. The text is valid until the next call and as long as `input`'s bytes.
    std::optional<SplitLine> next(std::string_view& input);

    /// The input has ended: what is left of it is a line as well.
    std::optional<SplitLine> last();

  private:
    std::optional<SplitLine> keep(std::string_view rest);
    SplitLine finished(std::string_view text);
    void drop_returned();

    PartialLine& partial_;
    std::size_t limit_;
    bool returned_ = false;  // true exactly when the last line given out lies in `partial_`
};

}  // namespace confab::chat
