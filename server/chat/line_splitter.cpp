#include "server/chat/line_splitter.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "reactor/block_cache.hpp"

namespace confab::chat {

void PartialLine::append(std::string_view more) {
    if (more.empty()) return;
    const std::size_t size = size_ + more.size();
    if (size > capacity_) {
        const std::size_t capacity = std::max<std::size_t>(64, std::bit_ceil(size));
        auto* const data = static_cast<char*>(block_cache::allocate(capacity));
        if (data_ != nullptr) {
            std::memcpy(data, data_, size_);
            block_cache::release(data_, capacity_);
        }
        data_ = data;
        capacity_ = static_cast<std::uint32_t>(capacity) & 0x7FFFFFFFU;
    }
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): without room for a byte it has made some
    std::memcpy(data_ + size_, more.data(), more.size());
    size_ = static_cast<std::uint32_t>(size);
}

void PartialLine::clear() {
    if (data_ != nullptr) block_cache::release(data_, capacity_);
    data_ = nullptr;
    size_ = capacity_ = 0;
}

std::optional<SplitLine> LineSplitter::next(std::string_view& input) {
    drop_returned();
    const std::size_t length = input.find('\n');
    const std::string_view piece = input.substr(0, length);
    input.remove_prefix(length == std::string_view::npos ? input.size() : length + 1);
    if (length == std::string_view::npos) return keep(piece);
    if (partial_.discarding()) {
        partial_.discard(false);
        return next(input);
    }
    if (partial_.empty()) return finished(piece);
    // One byte past the limit may be the CR of the line's end; more is overlong and need not be kept.
    if (partial_.text().size() + piece.size() > limit_ + 1) {
        partial_.clear();
        return SplitLine{.overlong = true};
    }
    partial_.append(piece);
    returned_ = true;
    return finished(partial_.text());
}

std::optional<SplitLine> LineSplitter::last() {
    drop_returned();
    partial_.discard(false);
    if (partial_.empty()) return std::nullopt;
    returned_ = true;
    return finished(partial_.text());
}

std::optional<SplitLine> LineSplitter::keep(std::string_view rest) {
    if (partial_.discarding() || rest.empty()) return std::nullopt;
    const std::size_t size = partial_.text().size() + rest.size();
    const bool may_end_in_time = size == limit_ + 1 && rest.back() == '\r';
    if (size > limit_ && !may_end_in_time) {
        partial_.clear();
        partial_.discard(true);
        return SplitLine{.overlong = true};
    }
    partial_.append(rest);
    return std::nullopt;
}

SplitLine LineSplitter::finished(std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.size() > limit_) return {.overlong = true};
    return {.text = text};
}

void LineSplitter::drop_returned() {
    if (returned_) partial_.clear();
    returned_ = false;
}

}  // namespace confab::chat
