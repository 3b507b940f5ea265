#include "server/chat/json_face.hpp"

#include <utility>

#include "server/chat/json_text.hpp"
#include "server/wire/deflate.hpp"
#include "server/wire/websocket_frame.hpp"

namespace confab::chat {

namespace {

std::string_view why_left(Reason reason) {
    switch (reason) {
        case Reason::lost:
            return "lost";
        case Reason::idle:
            return "idle";
        case Reason::too_slow:
            return "too_slow";
        case Reason::drain:
            return "going_down";
        case Reason::none:
        case Reason::moved:
        case Reason::quit:
            break;
    }
    return "left";
}

// Calls `use` with the parts that make up `entry` as an object.
template <class Use>
auto with_parts(const Entry& entry, std::string_view room, Use use) {
    const JsonText nick(entry.nick);
    const JsonText text(entry.text);
    const JsonText in(room);
    const auto message = [&](const auto& begin) {
        return use(begin, in, "\",\"epoch\":\"", json_epoch(entry.position.epoch),
                   "\",\"seq\":", JsonNumber(entry.position.seq), ",\"at\":", JsonNumber(entry.at_ms),
                   ",\"nick\":\"", nick, "\",\"text\":\"", text, "\"}");
    };
    switch (entry.kind) {
        case Kind::said:
            return message("{\"type\":\"said\",\"room\":\"");
        case Kind::emote:
            return message("{\"type\":\"emote\",\"room\":\"");
        case Kind::topic:
            return message("{\"type\":\"topic\",\"room\":\"");
        case Kind::joined:
            return use("{\"type\":\"joined\",\"room\":\"", in, "\",\"nick\":\"", nick, "\"}");
        case Kind::parted:
            return use("{\"type\":\"parted\",\"room\":\"", in, "\",\"nick\":\"", nick, "\",\"reason\":\"",
                       why_left(entry.reason), "\"}");
        case Kind::renamed:
            return use("{\"type\":\"renamed\",\"room\":\"", in, "\",\"nick\":\"", nick, "\",\"to\":\"", text,
                       "\"}");
        case Kind::told:
            break;
    }
    return use("{\"type\":\"told\",\"at\":", JsonNumber(entry.at_ms), ",\"nick\":\"", nick, "\",\"text\":\"",
               text, "\"}");
}

// What is shorter than this is not worth the work.
constexpr std::size_t least_to_compress = 100;

// The last words, and the close frame behind them.
std::string farewell(std::string_view reason, std::uint16_t code) {
    std::string json;
    json_append(json, "{\"type\":\"bye\",\"reason\":\"", reason, "\"}");
    return wire::frame(wire::Opcode::text, json) + wire::close_frame(code, reason);
}

}  // namespace

SharedBytes JsonFace::encode(const Entry& entry, std::string_view room, Arena& arena) const {
    if (compressed_) {
        std::string json;
        append_json(json, entry, room);
        const std::string bytes = frame(json);
        return arena.append(std::as_bytes(std::span(bytes)));
    }
    return with_parts(entry, room, [&arena](const auto&... parts) {
        const std::size_t payload = (json_size(parts) + ...);
        const wire::FrameHeader header = wire::frame_header(wire::Opcode::text, payload);
        const std::size_t size = header.size + payload;
        auto* out = reinterpret_cast<char*>(arena.reserve(size));
        std::memcpy(out, header.bytes.data(), header.size);
        out += header.size;
        ((out = json_copy(out, parts)), ...);
        return arena.commit(size);
    });
}

SharedBytes JsonFace::encode(const Notice& notice) const {
    std::string bytes;
    switch (notice.kind) {
        case Notice::Kind::missed_messages: {
            std::string json;
            json_append(json, "{\"type\":\"missed\",\"room\":\"", JsonText(notice.room),
                        "\",\"count\":", JsonNumber(notice.count), "}");
            bytes = frame(json);
            break;
        }
        case Notice::Kind::missed_tells: {
            std::string json;
            json_append(json, "{\"type\":\"missed_tells\",\"count\":", JsonNumber(notice.count), "}");
            bytes = frame(json);
            break;
        }
        case Notice::Kind::too_slow:
            bytes = farewell("too_slow", chat_close::too_slow);
            break;
        case Notice::Kind::idle:
            bytes = farewell("silent", chat_close::silent);
            break;
        case Notice::Kind::going_down:
            bytes = farewell("going_down", wire::close_code::going_away);
            break;
    }
    return SharedBytes::copy_of(std::as_bytes(std::span(bytes)));
}

std::string JsonFace::frame(std::string_view json) const {
    if (compressed_ && json.size() >= least_to_compress) {
        const std::string payload = wire::deflate_message(json);
        if (payload.size() < json.size()) return wire::frame(wire::Opcode::text, payload, true);
    }
    return wire::frame(wire::Opcode::text, json);
}

const JsonFace& json_face(bool compressed) {
    static const JsonFace plain(false);
    static const JsonFace deflated(true);
    return compressed ? deflated : plain;
}

void append_json(std::string& out, const Entry& entry, std::string_view room) {
    with_parts(entry, room, [&out](const auto&... parts) { json_append(out, parts...); });
}

}  // namespace confab::chat
