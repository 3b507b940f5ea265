#include "server/wire/sha1.hpp"

#include <bit>
#include <cstdint>
#include <string>

namespace confab::wire {

namespace {

constexpr std::size_t block_size = 64;

using State = std::array<std::uint32_t, 5>;

std::uint32_t big_endian(std::string_view bytes) {
    std::uint32_t word = 0;
    for (const char byte : bytes.substr(0, 4)) word = word << 8 | static_cast<unsigned char>(byte);
    return word;
}

void mix(State& state, std::string_view block) {
    std::array<std::uint32_t, 80> words;
    for (std::size_t i = 0; i < 16; ++i) words[i] = big_endian(block.substr(4 * i));
    for (std::size_t i = 16; i < 80; ++i)
        words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    auto [a, b, c, d, e] = state;
    for (std::size_t i = 0; i < 80; ++i) {
        const std::uint32_t chosen = i < 20   ? ((b & c) | (~b & d)) + 0x5A827999
                                     : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                                              : (b ^ c ^ d) + 0xCA62C1D6;
        const std::uint32_t next = std::rotl(a, 5) + chosen + e + words[i];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

}  // namespace

Sha1 sha1(std::string_view text) {
    std::string padded(text);
    padded += '\x80';
    padded.resize((padded.size() + 8 + block_size - 1) / block_size * block_size - 8, '\0');
    for (int shift = 56; shift >= 0; shift -= 8) padded += static_cast<char>(text.size() * 8 >> shift & 0xFF);

    State state{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    for (std::size_t at = 0; at < padded.size(); at += block_size)
        mix(state, std::string_view(padded).substr(at, block_size));

    Sha1 digest;
    for (std::size_t i = 0; i < digest.size(); ++i)
        digest[i] = static_cast<std::byte>(state[i / 4] >> (24 - 8 * (i % 4)) & 0xFF);
    return digest;
}

}  // namespace confab::wire
