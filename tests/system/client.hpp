// Internal to tests: a peer on a plain socket, sharing no code with what it tests.
#pragma once

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "tests/system/unique_fd.hpp"

namespace confab::system_tests {

// How the stream of bytes from the server ended.
enum class Ending { open, end_of_stream, reset };

const char* name_of(Ending ending);

// All the bytes from here to the end of the stream.
struct Rest {
    std::string bytes;
    Ending ending = Ending::open;
};

struct ClientOptions {
    // SO_RCVBUF, set before connecting so that the window obeys it; 0: the system's choice.
    int receive_buffer = 0;
};

// One connection. Every call that waits fails the test, at the line of its caller, when all patience is over;
// so does one that meets an end it does not expect. One thread at a time.
class Client {
  public:
    using Where = std::source_location;

    // To "127.0.0.1:port", "[::1]:port" or "unix:path"; returns when the kernel has connected, accepted or
    // not.
    explicit Client(const std::string& address, ClientOptions options = {}, Where where = Where::current());

    // True exactly when somebody listens there: tries it.
    static bool is_listening(const std::string& address);

    // Sends all of it, waiting as long as the server does not read.
    void send(std::string_view bytes, Where where = Where::current());
    void send_line(std::string_view line, Where where = Where::current());

    // Sends all of it, and keeps what comes meanwhile: for more bytes than all buffers on the way can hold.
    void send_while_receiving(std::string_view bytes, Where where = Where::current());

    // Sends at once what the kernel takes, without waiting for room; how much that was, or nothing when the
    // connection is gone. Any thread, as long as it is one.
    std::optional<std::size_t> send_what_fits(std::string_view bytes);

    // Sends until nothing more has gone for a moment: until the server, and every buffer on the way to it,
    // takes no more. Being wrong about that moment costs a test strength, never truth. How much went.
    std::size_t send_until_stuck(std::string_view bytes);

    // The next line, without its LF.
    std::string line(Where where = Where::current());
    void expect_line(std::string_view line, Where where = Where::current());

    // The next line starts so, and holds all of these.
    std::string expect_line_with(std::string_view start, std::initializer_list<std::string_view> pieces = {},
                                 Where where = Where::current());

    // The lines before this one, which is taken as well.
    std::vector<std::string> lines_until(std::string_view last, Where where = Where::current());

    // Sends /ping; the lines that come before its answer.
    std::vector<std::string> lines_until_pong(std::string_view marker, Where where = Where::current());

    // Sends /ping; the answer must be the next line.
    void expect_silence_until(std::string_view marker, Where where = Where::current());

    // Exactly so many bytes. With bytes given: these bytes.
    std::string receive(std::size_t count, Where where = Where::current());
    void expect(std::string_view bytes, Where where = Where::current());

    // Everything up to the end of the stream.
    Rest rest(Where where = Where::current());

    // The server closes without another byte.
    void expect_end(Where where = Where::current());

    // Waits for what comes next: true when it is bytes, false when it is the end. Takes nothing.
    bool answers(Where where = Where::current());

    // True exactly when bytes or the end have come that nobody has taken yet; does not wait.
    bool has_news();

    void half_close();
    void close() { socket_.close(); }

    // Closes with a RST, and whatever is still on the way is lost.
    void reset();

    int fd() const { return socket_.get(); }

  private:
    enum class Got { bytes, nothing, end };
    Got receive_some(Where where);
    void wait_for_more(short events, std::string_view what_for, Where where);
    [[noreturn]] void fail_here(const std::string& what, Where where) const;

    UniqueFd socket_;
    std::string received_;  // and not yet taken
    Ending ending_ = Ending::open;
};

// So many clients of `echo`, each of which has had an answer.
std::deque<Client> served_clients(const std::string& address, int count);

}  // namespace confab::system_tests
