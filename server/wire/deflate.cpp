#include "server/wire/deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <new>

#include "server/wire/websocket_frame.hpp"

namespace confab::wire {

namespace {

// What a flush ends with, which is not sent (RFC 7692 7.2.1).
constexpr std::string_view flush_end("\x00\x00\xff\xff", 4);
constexpr int memory_level = 6;  // 32 KiB and a little
constexpr std::size_t piece_size = 16 * 1024;

struct Deflater : z_stream {
    Deflater() : z_stream{} {
        if (deflateInit2(this, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -deflate_window_bits, memory_level,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    ~Deflater() { deflateEnd(this); }
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;
};

struct Inflater : z_stream {
    Inflater() : z_stream{} {
        if (inflateInit2(this, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    }
    ~Inflater() { inflateEnd(this); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
};

// zlib reads through a pointer to what it does not change.
void give(z_stream& stream, std::string_view input) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream.avail_in = static_cast<uInt>(input.size());
}

// Inflates what the stream was given, behind what is in `text`. 0, or a close code.
std::uint16_t inflate_on(z_stream& stream, std::string& text, std::size_t limit) {
    std::array<char, piece_size> piece;
    while (true) {
        stream.next_out = reinterpret_cast<Bytef*>(piece.data());
        stream.avail_out = piece.size();
        const int result = inflate(&stream, Z_SYNC_FLUSH);
        if (result == Z_MEM_ERROR) throw std::bad_alloc();
        const std::size_t size = piece.size() - stream.avail_out;
        if (size > limit - text.size()) return close_code::too_big;
        text.append(piece.data(), size);
        // A sender may end his stream within a message; what follows is a new one.
        if (result == Z_STREAM_END) {
            inflateReset(&stream);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return close_code::not_text;
        }
        if (stream.avail_in == 0 && stream.avail_out > 0) return 0;
    }
}

}  // namespace

std::string deflate_message(std::string_view message) {
    thread_local Deflater stream;
    deflateReset(&stream);
    std::string payload(deflateBound(&stream, message.size()) + 16, '\0');
    give(stream, message);
    stream.next_out = reinterpret_cast<Bytef*>(payload.data());
    stream.avail_out = static_cast<uInt>(payload.size());
    [[maybe_unused]] const int result = deflate(&stream, Z_SYNC_FLUSH);
    assert(result == Z_OK && stream.avail_out > 0);  // there is room for all of it
    payload.resize(payload.size() - stream.avail_out - flush_end.size());
    if (payload.empty()) payload.assign(1, '\0');  // an empty message is an empty block
    return payload;
}

std::expected<std::string, std::uint16_t> inflate_message(std::string_view payload, std::size_t limit) {
    thread_local Inflater stream;
    inflateReset(&stream);
    std::string text;
    for (const std::string_view part : {payload, flush_end}) {
        give(stream, part);
        if (const std::uint16_t fault = inflate_on(stream, text, limit); fault != 0)
            return std::unexpected(fault);
    }
    return text;
}

}  // namespace confab::wire
