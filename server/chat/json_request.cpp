#include "server/chat/json_request.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/chat/text.hpp"

namespace confab::chat {

namespace {

using nlohmann::json;

// Takes the parser's events as they come, so that no tree of values is ever built, whatever was sent.
class Reader final : public nlohmann::json_sax<json> {
  public:
    explicit Reader(JsonRequest& request) : request_(request) {}

    std::string_view fault() const { return fault_; }

    bool null() override { return in_object(); }
    bool boolean(bool /*value*/) override { return in_object() && refuse_if_known(); }
    bool number_integer(number_integer_t /*value*/) override { return in_object() && refuse_if_known(); }
    bool number_unsigned(number_unsigned_t value) override {
        if (!in_object()) return false;
        if (key_ == "seq") {
            request_.seq = value;
        } else if (key_ == "count") {
            request_.count = value;
        } else {
            return refuse_if_known();
        }
        return true;
    }
    bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
        return in_object() && refuse_if_known();
    }
    bool string(string_t& value) override {
        if (!in_object()) return false;
        std::string* const member = string_member();
        if (member == nullptr) return refuse_if_known();
        const bool is_id = member == &request_.id || member == &request_.once;
        if (is_id && (value.size() > JsonRequest::longest_id || check_text(value) != TextFault::none))
            return refuse("id and once are texts of 64 bytes at most");
        *member = std::move(value);
        return true;
    }
    bool binary(binary_t& /*value*/) override { return refuse("no JSON"); }
    bool start_object(std::size_t /*elements*/) override {
        if (std::exchange(begun_, true)) return refuse("no object may be in another");
        return true;
    }
    bool key(string_t& name) override {
        key_ = std::move(name);
        return true;
    }
    bool end_object() override { return true; }
    bool start_array(std::size_t /*elements*/) override { return refuse("no array may be in a message"); }
    bool end_array() override { return true; }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        return refuse("that is no JSON");
    }

  private:
    bool refuse(std::string_view fault) {
        if (fault_.empty()) fault_ = fault;
        return false;
    }
    bool in_object() { return begun_ || refuse("a message is an object"); }

    std::string* string_member() {
        const std::array<std::pair<std::string_view, std::string*>, 7> members{{
            {"type", &request_.type},
            {"id", &request_.id},
            {"room", &request_.room},
            {"nick", &request_.nick},
            {"text", &request_.text},
            {"epoch", &request_.epoch},
            {"once", &request_.once},
        }};
        for (const auto& [name, member] : members) {
            if (name == key_) return member;
        }
        return nullptr;
    }
    // The value is of a kind that no known member has.
    bool refuse_if_known() {
        if (string_member() != nullptr) return refuse("type, id, room, nick, text, epoch and once are texts");
        if (key_ == "seq" || key_ == "count") return refuse("seq and count are whole numbers, not below 0");
        return true;
    }

    JsonRequest& request_;
    std::string key_;
    std::string_view fault_;
    bool begun_ = false;
};

}  // namespace

std::string_view JsonRequest::read(std::string_view message) {
    Reader reader(*this);
    json::sax_parse(message, &reader);
    return reader.fault();
}

}  // namespace confab::chat
