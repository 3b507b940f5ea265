#include "clients/load/chat_load.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "clients/load/room_order.hpp"
#include "coro/semaphore.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"

namespace confab::load {

namespace {

// Begins what a speaker says, and occurs nowhere else in it: what comes before it in a line is the server's.
constexpr char mark = '~';
constexpr Duration slow_pause = std::chrono::milliseconds(500);
// A speaker's sayings whose stamps are kept for members who hear them late.
constexpr std::size_t stamps_kept = 64;

// "~SPEAKER.NUMBER." and then letters up to the size: which ones, speaker and number say.
void compose(std::string& line, const Saying& saying, std::size_t size) {
    line.clear();
    fmt::format_to(std::back_inserter(line), "{}{}.{}.", mark, saying.speaker, saying.number);
    for (std::uint64_t letter = saying.speaker * std::uint64_t{7} + saying.number; line.size() + 1 < size;
         letter += 11)
        line += static_cast<char>('a' + letter % 26);
}

// What `line` says, if it says anything of ours: the rest of it is not looked at.
std::optional<Saying> read_saying(std::string_view line) {
    Saying saying{};
    const char* const end = line.data() + line.size();
    const auto speaker = std::from_chars(line.data() + 1, end, saying.speaker);
    if (speaker.ec != std::errc() || speaker.ptr == end || *speaker.ptr != '.') return std::nullopt;
    const auto number = std::from_chars(speaker.ptr + 1, end, saying.number);
    if (number.ec != std::errc() || number.ptr == end || *number.ptr != '.') return std::nullopt;
    return saying;
}

class ChatLoad;
class Member;

/// A room, and whose turn it is where its members speak in bursts.
class Room {
  public:
    std::string name;  // empty: where the server puts us
    RoomLog log;
    std::vector<Member*> members;  // the witness is the first

    /// Each burst is of so many lines; 0: there are none.
    void take_turns(std::size_t lines) { burst_ = lines; }
    bool has_turns() const { return burst_ > 0; }
    /// A member has come in: when all have, the first one's turn begins.
    void arrived();
    /// The speaker has said a line, which so many are to hear. True: he goes on.
    bool said(std::size_t listeners);
    /// So many of those need not be waited for any longer. When there is none left, it is the next one's
    /// turn.
    void heard(std::size_t deliveries = 1);
    /// So many are to be waited for again: what came was something else.
    void owed_again(std::size_t deliveries) { unheard_ += deliveries; }
    /// Whose turn it is, perhaps, has gone, and says no more.
    void gone(const Member& member);

  private:
    void next_turn();

    std::size_t burst_ = 0, left_ = 0, unheard_ = 0, present_ = 0;
    std::size_t turn_ = 0;  // whose it is: a place among the members
};

class Member final : Taker {
  public:
    enum class Role : std::uint8_t { witness, speaker, slow_reader };

    Member(ChatLoad& load, Room& room, std::uint32_t number, Role role)
        : load_(load), room_(room), number_(number), role_(role) {}

    task<void> run();

    Faults faults() const;
    bool is_served() const { return served_; }
    /// The witness has heard what this member said.
    void was_heard();
    /// When this member said that; nothing when it is too long ago.
    const Stamp* stamp_of(std::uint64_t saying) const;
    /// The witness has heard more.
    void catch_up();
    /// Something was said that this member is to hear.
    void owe() { owed_ += listens() ? 1 : 0; }
    bool listens() const { return present_ && role_ != Role::slow_reader; }
    bool speaks() const { return present_ && !leaving_ && role_ == Role::speaker; }
    /// Asks for something to say.
    void ask();
    std::uint64_t said() const { return said_; }

  private:
    struct Flush : Job {
        explicit Flush(Member& owner)
            : Job([](Job& job) noexcept { static_cast<Flush&>(job).member.flush(); }), member(owner) {}
        Member& member;
    };

    bool take(Instant due) override;
    task<std::string> attend();
    task<std::string> converse();
    void flush();
    void heard(std::string_view text);
    void line(std::string_view whole);
    void saying(std::string_view text);
    void arrive();
    void settle_debts();
    bool may_leave() const;

    ChatLoad& load_;
    Room& room_;
    const std::uint32_t number_;
    const Role role_;
    std::optional<Stream> stream_;
    std::optional<Listening> listening_;
    Faults faults_;
    Flush flush_{*this};
    std::string partial_;
    std::array<Stamp, stamps_kept> stamps_{};
    std::uint64_t said_ = 0, heard_of_mine_ = 0, said_before_session_ = 0;
    std::uint64_t owed_ = 0;
    std::uint64_t paid_ahead_ = 0;  // debts paid by what the witness had not heard
    bool present_ = false, flush_queued_ = false, wants_ = false, leaving_ = false, served_ = false,
         announced_ = false;
};

class ChatLoad final : public Driver {
  public:
    ChatLoad(const ChatSettings& chat, Wiring wires);

    void spawn_all(scope& connections) override {
        expect(members_.size());
        for (Member& member : members_) connections.spawn(member.run(), "member");
    }
    Faults faults() const override {
        Faults all;
        for (const Member& member : members_) all += member.faults();
        return all;
    }
    Attendance attendance() const override {
        Attendance all;
        all.served = static_cast<std::size_t>(std::ranges::count_if(members_, &Member::is_served));
        all.starved = members_.size() - all.served;
        return all;
    }
    Member* member(std::uint32_t number) {
        return number < first_ || number - first_ >= members_.size() ? nullptr : &members_[number - first_];
    }

    using Driver::connected;
    using Driver::gone;
    using Driver::refused;

    const ChatSettings settings;
    const Wiring wiring;
    semaphore connecting;
    std::string line;  // to compose in

  private:
    std::deque<Room> rooms_;
    std::deque<Member> members_;
    std::uint32_t first_ = 0;  // number of this worker's first member
};

ChatLoad::ChatLoad(const ChatSettings& chat, Wiring wires)
    : Driver(wires.traffic),
      settings(chat),
      wiring(wires),
      connecting(static_cast<std::ptrdiff_t>(chat.connecting)) {
    const std::vector<std::size_t> sizes = room_sizes(chat.connections, chat.rooms);
    const std::size_t first = chat.share.before(chat.rooms), last = first + chat.share.part(chat.rooms);
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < last; ++i) {
        if (i < first) {
            number += static_cast<std::uint32_t>(sizes[i]);
            continue;
        }
        if (i == first) first_ = number;
        Room& room = rooms_.emplace_back();
        room.take_turns(chat.burst);
        if (chat.rooms > 1 || chat.burst > 0) room.name = "load-" + std::to_string(i);
        for (std::size_t k = 0; k < sizes[i]; ++k) {
            const bool is_slow = k == 2 && i < chat.slow_readers;
            const auto role = k == 0    ? Member::Role::witness
                              : is_slow ? Member::Role::slow_reader
                                        : Member::Role::speaker;
            room.members.push_back(&members_.emplace_back(*this, room, number++, role));
        }
    }
}

// --- A room ---

void Room::arrived() {
    if (++present_ == members.size() && burst_ > 0) next_turn();
}

bool Room::said(std::size_t listeners) {
    unheard_ += listeners;
    return burst_ > 0 && --left_ > 0;
}

void Room::heard(std::size_t deliveries) {
    if (deliveries == 0) return;
    unheard_ -= deliveries;
    if (burst_ > 0 && unheard_ == 0 && left_ == 0) next_turn();
}

void Room::gone(const Member& member) {
    if (burst_ == 0 || members[turn_] != &member || left_ == 0) return;
    left_ = 0;
    if (unheard_ == 0) next_turn();
}

void Room::next_turn() {
    for (std::size_t i = 0; i < members.size(); ++i) {
        turn_ = (turn_ + 1) % members.size();
        if (!members[turn_]->speaks()) continue;
        left_ = burst_;
        members[turn_]->ask();
        return;
    }
}

// --- A member ---

task<void> Member::run() {
    std::string end;
    do {
        leaving_ = false;
        co_await load_.connecting.acquire();
        const std::expected<int, std::error_code> fd = co_await load_.wiring.dialer.dial();
        load_.connecting.release();
        if (!fd) {
            if (fd.error() != std::errc::operation_canceled) ++faults_.refused;
            if (!announced_) co_return load_.refused(fd.error());
            end = fd.error().message();
            break;
        }
        stream_.emplace(load_.wiring.reactor, *fd);
        end = co_await attend();
        stream_.reset();
    } while (leaving_);
    if (!announced_) load_.connected();
    if (!end.empty() && role_ != Role::slow_reader) ++faults_.disconnected;
    load_.gone(role_ == Role::slow_reader ? std::string() : end);
}

// One session; gives why it ended, if that was not meant.
task<std::string> Member::attend() {
    if (!room_.name.empty()) {
        stream_->outbox().push(SharedBytes::copy_of(as_bytes("/join " + room_.name + "\n/ping here\n")));
        stream_->outbox().flush();
    }
    const std::string end = co_await converse();
    load_.wiring.injector.take_off(*this);
    wants_ = present_ = false;
    if (listening_) faults_ += listening_->faults(!leaving_);
    listening_.reset();
    settle_debts();
    partial_.clear();
    co_await stream_->close();
    co_return leaving_ ? std::string() : end;
}

task<std::string> Member::converse() {
    while (true) {
        const Received bytes = co_await stream_->receive();
        if (!bytes) {
            co_return bytes.error() == std::errc::operation_canceled ? std::string()
                                                                     : bytes.error().message();
        }
        if (bytes->empty()) co_return "closed by the server";
        heard(as_text(*bytes));
        if (role_ != Role::slow_reader || !present_) continue;
        try {
            co_await sleep(slow_pause);
        } catch (const task_canceled&) {
            co_return std::string();
        }
    }
}

void Member::heard(std::string_view text) {
    load_.wiring.traffic.verified(text.size());
    for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
        if (partial_.empty()) {
            line(text.substr(0, end));
        } else {
            partial_ += text.substr(0, end);
            line(partial_);
            partial_.clear();
        }
    }
    partial_ += text;
}

void Member::line(std::string_view whole) {
    if (!whole.empty() && whole.back() == '\r') whole.remove_suffix(1);
    const std::size_t at = whole.find(mark);
    if (at != std::string_view::npos) return saying(whole.substr(at));
    if (whole.starts_with("! ")) ++faults_.complaints;
    // The first line is the welcome; with a room of our own, the answer to what was sent after joining it.
    if (!present_ && (room_.name.empty() || whole == "* pong here")) arrive();
}

void Member::arrive() {
    present_ = true;
    if (role_ == Role::speaker) {
        listening_.emplace(room_.log, number_);
        said_before_session_ = said_;
        if (!room_.has_turns()) ask();
    }
    room_.arrived();
    if (!announced_) load_.connected();
    announced_ = true;
}

void Member::ask() {
    wants_ = true;
    load_.wiring.injector.want(*this);
}

void Member::saying(std::string_view text) {
    const std::optional<Saying> heard = read_saying(text);
    Member* const speaker = heard ? load_.member(heard->speaker) : nullptr;
    if (speaker != nullptr && heard->number < speaker->said()) {
        compose(load_.line, *heard, load_.settings.size);
    }
    if (speaker == nullptr || heard->number >= speaker->said() || load_.line != text ||
        &speaker->room_ != &room_) {
        ++faults_.corrupted;
        return;
    }
    if (speaker == this) return;
    served_ = true;
    if (role_ == Role::witness) {
        room_.log.append(*heard);
        for (Member* const member : room_.members) member->catch_up();
        speaker->was_heard();
    } else if (role_ == Role::speaker && listening_) {
        const bool was_ahead = listening_->is_ahead();
        // What comes once more is not what is still owed.
        if (listening_->hear(*heard) && !was_ahead) return;
    }
    if (owed_ == 0) return;
    --owed_;
    if (listening_ && listening_->is_ahead()) ++paid_ahead_;
    room_.heard();
    if (const Stamp* const stamp = speaker->stamp_of(heard->number)) {
        load_.wiring.traffic.answered(*stamp, load_.wiring.injector.now());
    } else {
        load_.wiring.traffic.dropped(1);
    }
}

// What has turned out to have come once more has paid for something that is still to come.
void Member::catch_up() {
    if (!listening_ || !listening_->is_ahead()) return;
    const std::uint64_t again = std::min(listening_->catch_up(), paid_ahead_);
    for (std::uint64_t i = 0; i < again; ++i) load_.wiring.traffic.sent();
    owed_ += again;
    room_.owed_again(again);
    paid_ahead_ = listening_->is_ahead() ? paid_ahead_ - again : 0;
}

bool Member::take(Instant due) {
    Stamp stamp{.due = due, .sent = load_.wiring.injector.now()};
    if (!load_.wiring.injector.is_open_loop()) stamp.due = stamp.sent;
    stamps_[said_ % stamps_kept] = stamp;
    compose(load_.line, {.speaker = number_, .number = said_++}, load_.settings.size);
    load_.line += '\n';
    stream_->outbox().push(SharedBytes::copy_of(as_bytes(load_.line)));
    std::size_t listeners = 0;
    for (Member* const listener : room_.members) {
        if (listener == this || !listener->listens()) continue;
        listener->owe();
        load_.wiring.traffic.sent();
        ++listeners;
    }
    if (!flush_queued_) {
        flush_queued_ = true;
        load_.wiring.reactor.at_end_of_turn(flush_);
    }
    const bool goes_on = room_.said(listeners);
    if (room_.has_turns()) return wants_ = goes_on;
    const std::uint64_t session = load_.settings.session;
    const bool is_last = session != 0 && said_ - said_before_session_ >= session;
    wants_ = !is_last && said_ - heard_of_mine_ < load_.settings.pipeline;
    return wants_;
}

void Member::flush() {
    flush_queued_ = false;
    if (stream_ && stream_->is_open()) stream_->outbox().flush();
}

bool Member::may_leave() const {
    const std::uint64_t session = load_.settings.session;
    return session != 0 && said_ - said_before_session_ >= session && said_ == heard_of_mine_;
}

void Member::was_heard() {
    served_ = true;
    ++heard_of_mine_;
    if (!present_ || leaving_ || wants_ || room_.has_turns()) return;
    if (may_leave()) {
        leaving_ = true;
        stream_->outbox().push(SharedBytes::copy_of(as_bytes("/quit\n")));
        stream_->outbox().flush();
        present_ = false;  // what is said from here on need not reach it
        return;
    }
    if (said_ - heard_of_mine_ >= load_.settings.pipeline) return;
    ask();
}

const Stamp* Member::stamp_of(std::uint64_t saying) const {
    return said_ - saying > stamps_kept ? nullptr : &stamps_[saying % stamps_kept];
}

// Who has gone is owed nothing any more.
void Member::settle_debts() {
    load_.wiring.traffic.dropped(owed_);
    room_.heard(std::exchange(owed_, 0));
    paid_ahead_ = 0;
    room_.gone(*this);
}

Faults Member::faults() const {
    Faults all = faults_;
    // What the witness never heard.
    if (!present_ && room_.log.end() > 0) all.lost += said_ - heard_of_mine_;
    return all;
}

}  // namespace

std::vector<std::size_t> room_sizes(std::size_t members, std::size_t rooms) {
    std::vector<std::size_t> sizes(rooms, 2);
    double weights = 0;
    for (std::size_t i = 0; i < rooms; ++i) weights += 1 / static_cast<double>(i + 1);
    const std::size_t rest = members - 2 * rooms;
    double share = 0;
    std::size_t given = 0;
    for (std::size_t i = 0; i < rooms; ++i) {
        share += static_cast<double>(rest) / static_cast<double>(i + 1) / weights;
        const auto until = i + 1 == rooms ? rest : static_cast<std::size_t>(std::llround(share));
        sizes[i] += until - given;
        given = until;
    }
    return sizes;
}

std::unique_ptr<Driver> make_chat_load(const ChatSettings& settings, Wiring wiring) {
    return std::make_unique<ChatLoad>(settings, wiring);
}

}  // namespace confab::load
