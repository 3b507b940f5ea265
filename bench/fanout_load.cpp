// Drives a chat as hard as it can from one core: a line in, a line out to every other member of the room.
//
// Closed loop: in each room one member says a burst of `flight` messages, and when everyone else has got
// them, the next member says the next. (Replacing single messages would be no steady load: a burst once torn
// stays torn, and a server that happened to tear it pays twice.) Checked of every delivery: its room, its
// text, and its place in the room's order, which must be the same for every member. The order is what the
// room's first member hears, who says nothing himself; so nothing can be lost, doubled or swapped unseen. A
// message begins with its number, the rest of its text is a walk through random letters.
//
// Speaks confab's line protocol as far as the baselines know it: /join, /ping and lines; deliveries may or
// may not have the `[room] nick: ` before their text. Lines that begin with `* ` are information and let
// pass.
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bench/load_common.hpp"
#include "bench/uring_common.h"

namespace confab::bench {
namespace {

constexpr std::size_t number_digits = 16;  // of a message: eight for its slot, eight for its round
constexpr std::size_t least_line = 24, largest_line = 1024;
constexpr std::size_t largest_flight = 1024;
constexpr std::size_t partial_limit = 8192;  // more of a line without its end is an error
constexpr std::size_t letters_period = 4093;

constexpr unsigned ring_entries = 4096;
constexpr unsigned buffer_count = 256;
constexpr unsigned buffer_size = 8 * 1024;
constexpr int buffer_group = 0;
constexpr int stalled_seconds = 10;

struct Options {
    std::uint16_t port = 0;
    int server_pid = 0;
    std::size_t rooms = 1, members = 100, flight = 1, bytes = 64;
    double seconds = 1.0, warmup = 0.2;
    std::uint64_t count = 0;
};

enum class Event : std::uint64_t { received, sent, tick };

std::uint64_t tag(Event event, std::size_t member) {
    return member << 8U | static_cast<std::uint64_t>(event);
}

// A message under way. The next burst's takes its place.
struct Slot {
    std::string line;  // with its newline
    std::uint32_t round = 0;
    std::size_t speaker = 0;
    std::uint64_t speaker_number = 0;  // how many the speaker had said before
    std::size_t missing = 0;           // deliveries
    bool is_ordered = false;           // true exactly when the room's first member has heard it
};

// One message's identity. A slot's round grows by one with each message.
struct Number {
    std::uint32_t slot, round;
    bool operator==(const Number&) const = default;
};

// The order of a room's messages, as far back as anyone should be behind: what he has not heard is under way,
// at most `flight` messages, and what he said himself meanwhile is a few bursts.
class Order {
  public:
    struct Entry {
        Number number;
        std::size_t speaker;
    };
    explicit Order(std::size_t flight) : ring_(8 * flight) {}
    void append(Entry entry) { ring_[end_++ % ring_.size()] = entry; }
    [[nodiscard]] const Entry& at(std::uint64_t place) const { return ring_[place % ring_.size()]; }
    [[nodiscard]] std::uint64_t end() const { return end_; }
    [[nodiscard]] bool is_known(std::uint64_t place) const { return end_ - place <= ring_.size(); }

  private:
    std::vector<Entry> ring_;
    std::uint64_t end_ = 0;
};

struct Room {
    std::string name;
    std::string bracketed;  // what a delivery may begin with
    std::size_t first_member = 0, first_slot = 0;
    std::size_t speaker = 0;  // of the last burst, counted without the first member
    std::size_t unheard = 0;  // deliveries of it
    Order order;
};

struct Member {
    int fd = -1;
    std::size_t room = 0;
    std::string partial;            // a line whose end has not come
    std::string outgoing;           // said in this turn
    std::vector<Number> unordered;  // heard before the room's first member heard it
    std::uint64_t place = 0;        // in the room's order
    std::uint64_t said = 0, said_in_order = 0;
    bool is_ready = false;
};

class Load {
  public:
    explicit Load(const Options& options);
    // Runs until the window closes; returns the exit code.
    int run();

  private:
    void open_buffers();
    void open_rooms();
    void join(std::size_t index);
    void arm_tick();
    void speak(Room& room);
    void say(std::size_t index, std::size_t slot_index);
    void send_spoken();
    void turn();
    void handle(const io_uring_cqe& completion);
    void received(const io_uring_cqe& completion, std::size_t index);
    void take(std::size_t index, std::string_view bytes);
    void line(std::size_t index, std::string_view line);
    void delivery(std::size_t index, std::string_view text);
    void heard(std::size_t index, Number number);
    void order_heard(Room& room, Number number);
    void follow_order(std::size_t index, Number number);
    void complain(std::size_t index, const char* what, std::string_view text);
    void tick();
    void report(const Window& window) const;

    const Options options_;
    const std::vector<char> letters_;
    std::vector<char> buffer_memory_;
    std::vector<Room> rooms_;
    std::vector<Slot> slots_;
    std::vector<Member> members_;
    std::vector<std::size_t> speakers_;   // in this turn
    std::vector<std::size_t> completed_;  // rooms, in this turn
    io_uring ring_{};
    io_uring_buf_ring* buffers_ = nullptr;
    int freed_buffers_ = 0;
    __kernel_timespec tick_interval_{.tv_sec = 1, .tv_nsec = 0};
    std::uint64_t deliveries_ = 0, heard_at_tick_ = 0, information_ = 0, errors_ = 0;
    std::size_t ready_ = 0;
    int idle_ticks_ = 0;
};

std::vector<char> random_letters() {
    std::vector<char> letters = pattern_bytes(letters_period + largest_line);
    for (char& letter : letters) letter = static_cast<char>('a' + static_cast<unsigned char>(letter) % 26);
    return letters;
}

Load::Load(const Options& options)
    : options_(options), letters_(random_letters()), buffer_memory_(std::size_t{buffer_count} * buffer_size) {
    ring_open(&ring_, ring_entries, 16 * ring_entries);
    open_buffers();
    open_rooms();
}

void Load::open_buffers() {
    buffers_ = ring_open_buffers(&ring_, buffer_count, buffer_group, 0);
    for (unsigned i = 0; i < buffer_count; ++i) {
        io_uring_buf_ring_add(buffers_, buffer_memory_.data() + std::size_t{i} * buffer_size, buffer_size,
                              static_cast<unsigned short>(i), buffer_count - 1, static_cast<int>(i));
    }
    io_uring_buf_ring_advance(buffers_, static_cast<int>(buffer_count));
}

void Load::open_rooms() {
    slots_.resize(options_.rooms * options_.flight);
    members_.resize(options_.rooms * options_.members);
    for (std::size_t i = 0; i < options_.rooms; ++i) {
        const std::string name = "bench-" + std::to_string(i);
        rooms_.push_back({.name = name,
                          .bracketed = "[" + name + "] ",
                          .first_member = i * options_.members,
                          .first_slot = i * options_.flight,
                          .speaker = 0,
                          .unheard = 0,
                          .order = Order(options_.flight)});
    }
    for (std::size_t i = 0; i < members_.size(); ++i) members_[i].room = i / options_.members;
}

int Load::run() {
    arm_tick();
    for (std::size_t i = 0; i < members_.size(); ++i) join(i);
    while (ready_ < members_.size() && errors_ == 0) turn();
    for (Room& room : rooms_) speak(room);
    while (deliveries_ < settled_after * slots_.size() * (options_.members - 1) && errors_ == 0) turn();
    Window window({options_.warmup, options_.seconds, options_.count, options_.server_pid});
    while (!window.advance(deliveries_) && errors_ == 0) turn();
    if (errors_ != 0) return 1;  // already said; figures of a chat that is wrong mean nothing
    report(window);
    return 0;
}

void Load::join(std::size_t index) {
    Member& member = members_[index];
    member.fd = bound_socket(static_cast<unsigned>(index));
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(options_.port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(member.fd, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0)
        fail("connect", errno);
    ring_receive(&ring_, member.fd, buffer_group, tag(Event::received, index));
    member.outgoing = "/join " + rooms_[member.room].name + "\n/ping ready\n";
    speakers_.push_back(index);
    turn();  // reads what the server says to those who are in already, so that it never has to keep much
}

void Load::arm_tick() {
    io_uring_sqe* entry = ring_next(&ring_);
    io_uring_prep_timeout(entry, &tick_interval_, 0, 0);
    io_uring_sqe_set_data64(entry, tag(Event::tick, 0));
}

void append_hex(std::string& text, std::uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4)
        text += "0123456789abcdef"[value >> static_cast<unsigned>(shift) & 15U];
}

// Lets the room's next member say the next burst.
void Load::speak(Room& room) {
    room.speaker = (room.speaker + 1) % (options_.members - 1);
    room.unheard = options_.flight * (options_.members - 1);
    const std::size_t index = room.first_member + 1 + room.speaker;
    for (std::size_t slot = room.first_slot; slot < room.first_slot + options_.flight; ++slot)
        say(index, slot);
    speakers_.push_back(index);
}

void Load::say(std::size_t index, std::size_t slot_index) {
    Member& speaker = members_[index];
    Slot& slot = slots_[slot_index];
    slot.speaker = index;
    slot.speaker_number = speaker.said++;
    slot.missing = options_.members - 1;
    slot.is_ordered = false;
    ++slot.round;
    slot.line.clear();
    append_hex(slot.line, static_cast<std::uint32_t>(slot_index));
    append_hex(slot.line, slot.round);
    slot.line.append(letters_.data() + (slot_index * 31 + slot.round * std::size_t{7}) % letters_period,
                     options_.bytes - number_digits - 1);
    slot.line += '\n';
    speaker.outgoing += slot.line;
}

// One send a speaker. None may wait: when the call that submits them returns, their bytes are the kernel's.
// So little is ever under way that a full socket means that the server does not read.
void Load::send_spoken() {
    for (const std::size_t index : speakers_) {
        const Member& member = members_[index];
        io_uring_sqe* entry = ring_next(&ring_);
        io_uring_prep_send(entry, member.fd, member.outgoing.data(), member.outgoing.size(),
                           MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL);
        entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_sqe_set_data64(entry, tag(Event::sent, index));
    }
}

void Load::turn() {
    send_spoken();
    do {
        const int submitted = io_uring_submit_and_wait(&ring_, 1);
        if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
            fail("io_uring_enter", -submitted);
        }
    } while (io_uring_sq_ready(&ring_) != 0);
    for (const std::size_t index : speakers_) members_[index].outgoing.clear();
    speakers_.clear();

    unsigned head = 0, seen = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
        handle(*completion);
        ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    io_uring_buf_ring_advance(buffers_, freed_buffers_);
    freed_buffers_ = 0;
    for (const std::size_t room : completed_) speak(rooms_[room]);
    completed_.clear();
}

void Load::handle(const io_uring_cqe& completion) {
    const auto index = static_cast<std::size_t>(completion.user_data >> 8U);
    switch (static_cast<Event>(completion.user_data & 0xffU)) {
        case Event::received:
            received(completion, index);
            break;
        case Event::sent:
            fail("send", completion.res < 0 ? -completion.res : EAGAIN);
        case Event::tick:
            tick();
            break;
    }
}

void Load::received(const io_uring_cqe& completion, std::size_t index) {
    if (completion.res == 0) fail("member " + std::to_string(index) + " was put out", ECONNRESET);
    if (completion.res < 0 && completion.res != -ENOBUFS) fail("receive", -completion.res);
    if (completion.res > 0) {
        const unsigned buffer = completion.flags >> IORING_CQE_BUFFER_SHIFT;
        char* const bytes = buffer_memory_.data() + std::size_t{buffer} * buffer_size;
        take(index, {bytes, static_cast<std::size_t>(completion.res)});
        io_uring_buf_ring_add(buffers_, bytes, buffer_size, static_cast<unsigned short>(buffer),
                              buffer_count - 1, freed_buffers_++);
    }
    if ((completion.flags & IORING_CQE_F_MORE) == 0) {
        ring_receive(&ring_, members_[index].fd, buffer_group, completion.user_data);
    }
}

void Load::take(std::size_t index, std::string_view bytes) {
    std::string& partial = members_[index].partial;
    while (!bytes.empty()) {
        const std::size_t newline = bytes.find('\n');
        if (newline == std::string_view::npos) {
            partial += bytes;
            if (partial.size() > partial_limit) fail("a line without end", EMSGSIZE);
            return;
        }
        if (partial.empty()) {
            line(index, bytes.substr(0, newline));
        } else {
            partial += bytes.substr(0, newline);
            line(index, partial);
            partial.clear();
        }
        bytes.remove_prefix(newline + 1);
    }
}

void Load::line(std::size_t index, std::string_view line) {
    const std::size_t text_size = options_.bytes - 1;
    if (line.starts_with('*')) {
        ++information_;
        if (line == "* pong ready" && !members_[index].is_ready) {
            members_[index].is_ready = true;
            ++ready_;
        }
    } else if (line.size() < text_size || line.starts_with('!')) {
        complain(index, "not a delivery", line);
    } else if (line.size() > text_size && !line.starts_with(rooms_[members_[index].room].bracketed)) {
        complain(index, "from another room", line);
    } else {
        delivery(index, line.substr(line.size() - text_size));
    }
}

void Load::delivery(std::size_t index, std::string_view text) {
    Number number{};
    const char* const digits = text.data();
    const auto slot_end = std::from_chars(digits, digits + 8, number.slot, 16);
    const auto round_end = std::from_chars(digits + 8, digits + number_digits, number.round, 16);
    if (slot_end.ptr != digits + 8 || round_end.ptr != digits + number_digits ||
        number.slot >= slots_.size()) {
        complain(index, "no number", text);
        return;
    }
    Slot& slot = slots_[number.slot];
    if (slot.round != number.round || slot.missing == 0) {
        complain(index, "this message is over", text);
    } else if (std::memcmp(text.data(), slot.line.data(), text.size()) != 0) {
        complain(index, "not what was said", text);
    } else if (number.slot / options_.flight != members_[index].room || slot.speaker == index) {
        complain(index, "not meant for this member", text);
    } else {
        heard(index, number);
        ++deliveries_;
        --slot.missing;
        const std::size_t room = members_[index].room;
        if (--rooms_[room].unheard == 0) completed_.push_back(room);
    }
}

void Load::heard(std::size_t index, Number number) {
    Room& room = rooms_[members_[index].room];
    if (index == room.first_member) {
        order_heard(room, number);
    } else {
        follow_order(index, number);
    }
}

// The room's first member says what the order is. It must at least keep each speaker's own.
void Load::order_heard(Room& room, Number number) {
    Slot& slot = slots_[number.slot];
    Member& speaker = members_[slot.speaker];
    if (slot.is_ordered || slot.speaker_number != speaker.said_in_order) {
        complain(room.first_member, "out of the speaker's order", slot.line);
    }
    slot.is_ordered = true;
    speaker.said_in_order = slot.speaker_number + 1;
    room.order.append({number, slot.speaker});
}

// Compares as far as the order is known and keeps the rest until it is. What he said himself, a member does
// not hear.
void Load::follow_order(std::size_t index, Number number) {
    Member& member = members_[index];
    const Order& order = rooms_[member.room].order;
    member.unordered.push_back(number);
    if (!order.is_known(member.place)) fail("member " + std::to_string(index) + " is too far behind", ERANGE);
    std::size_t compared = 0;
    for (; compared < member.unordered.size(); ++compared) {
        while (member.place != order.end() && order.at(member.place).speaker == index) ++member.place;
        if (member.place == order.end()) break;
        if (order.at(member.place).number != member.unordered[compared]) {
            complain(index, "out of the room's order", slots_[member.unordered[compared].slot].line);
        }
        ++member.place;
    }
    member.unordered.erase(member.unordered.begin(),
                           member.unordered.begin() + static_cast<std::ptrdiff_t>(compared));
}

void Load::complain(std::size_t index, const char* what, std::string_view text) {
    if (errors_++ > 10) return;
    const std::string excerpt(text.substr(0, 200));
    std::fprintf(stderr, "member %zu: %s: %s\n", index, what, excerpt.c_str());
}

void Load::tick() {
    const std::uint64_t heard = deliveries_ + information_;  // who joins is told a lot, too
    idle_ticks_ = heard == heard_at_tick_ ? idle_ticks_ + 1 : 0;
    heard_at_tick_ = heard;
    if (idle_ticks_ == stalled_seconds) {
        std::fprintf(stderr,
                     "nothing has been heard for %d seconds: %zu of %zu members are in, %llu deliveries\n",
                     stalled_seconds, ready_, members_.size(), static_cast<unsigned long long>(deliveries_));
        std::exit(1);
    }
    arm_tick();
}

void Load::report(const Window& window) const {
    const Window::Figures figures = window.figures();
    std::printf(
        "{\"mode\":\"fanout\",\"rooms\":%zu,\"members\":%zu,\"flight\":%zu,\"bytes\":%zu,\"messages\":%llu,"
        "\"deliveries\":%llu,\"total_deliveries\":%llu,\"information\":%llu,\"errors\":0,\"seconds\":%.6f,"
        "\"server_cpu_seconds\":%.6f,\"load_cpu_seconds\":%.6f}\n",
        options_.rooms, options_.members, options_.flight, options_.bytes,
        static_cast<unsigned long long>(figures.messages / (options_.members - 1)),
        static_cast<unsigned long long>(figures.messages), static_cast<unsigned long long>(deliveries_),
        static_cast<unsigned long long>(information_), figures.seconds, figures.server_cpu_s,
        figures.load_cpu_s);
}

constexpr const char* usage =
    "usage: fanout_load --port PORT [--pid SERVER] [--rooms N] [--members N] [--flight N] [--bytes N]\n"
    "                   [--duration S] [--warmup S] [--count N]\n";

Options parse(int argc, char** argv) {
    static constexpr std::array<option, 11> known{{{"port", required_argument, nullptr, 'p'},
                                                   {"pid", required_argument, nullptr, 'P'},
                                                   {"rooms", required_argument, nullptr, 'r'},
                                                   {"members", required_argument, nullptr, 'm'},
                                                   {"flight", required_argument, nullptr, 'f'},
                                                   {"bytes", required_argument, nullptr, 'b'},
                                                   {"duration", required_argument, nullptr, 's'},
                                                   {"warmup", required_argument, nullptr, 'w'},
                                                   {"count", required_argument, nullptr, 'd'},
                                                   {"help", no_argument, nullptr, 'h'},
                                                   {nullptr, 0, nullptr, 0}}};
    Options options;
    int which = 0;
    for (int letter; (letter = getopt_long(argc, argv, "", known.data(), &which)) != -1;) {
        if (letter == '?') std::exit(2);
        const std::string_view name = known[static_cast<std::size_t>(which)].name;
        const auto number = [&](std::uint64_t least, std::uint64_t most) {
            return parse_number(name, optarg, least, most);
        };
        switch (letter) {
            case 'p':
                options.port = static_cast<std::uint16_t>(number(1, 65535));
                break;
            case 'P':
                options.server_pid = static_cast<int>(number(1, 1U << 30U));
                break;
            case 'r':
                options.rooms = number(1, 100'000);
                break;
            case 'm':
                options.members = number(3, 100'000);
                break;
            case 'f':
                options.flight = number(1, largest_flight);
                break;
            case 'b':
                options.bytes = number(least_line, largest_line);
                break;
            case 's':
                options.seconds = parse_seconds(name, optarg);
                break;
            case 'w':
                options.warmup = parse_seconds(name, optarg);
                break;
            case 'd':
                options.count = number(1, UINT64_MAX);
                break;
            default:
                std::fputs(usage, stdout);
                std::exit(0);
        }
    }
    if (options.port == 0 || optind != argc) {
        std::fputs(usage, stderr);
        std::exit(2);
    }
    return options;
}

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) {
    const confab::bench::Options options = confab::bench::parse(argc, argv);
    confab::bench::raise_descriptor_limit();
    return confab::bench::Load(options).run();
}
