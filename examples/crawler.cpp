// Fetches pages in a pool, two at a time, and parses each as soon as it is there, in a callback: while one
// page is parsed, the next ones are on their way. The site is in this program, too: an HTTP server for five
// pages.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <confab/pools/fd.hpp>
#include <confab/pools/guard.hpp>
#include <confab/pools/thread_pool.hpp>
#include <confab/pools/threads/mutex.hpp>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

using confab::Fd;

const std::map<std::string, std::string, std::less<>> site{
    {"/", "<title>home</title><a href=\"/docs\"><a href=\"/news\">"},
    {"/docs", "<title>docs</title>"},
    {"/news", "<title>news</title><a href=\"/docs\">"},
    {"/help", "<title>help</title><a href=\"/\"><a href=\"/docs\"><a href=\"/news\">"},
};

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::system_category(), what); }

std::string receive_until_end(const Fd& socket, std::string_view end) {
    std::string text;
    char buffer[4096];
    while (end.empty() || !text.ends_with(end)) {
        const ssize_t count = ::recv(socket.get(), buffer, sizeof buffer, 0);
        if (count < 0) fail("recv");
        if (count == 0) break;
        text.append(buffer, static_cast<std::size_t>(count));
    }
    return text;
}

void send_all(const Fd& socket, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
        if (count < 0) fail("send");
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

// --- The site ---------------------------------------------------------------------------------------------

// A listening socket on a port of the system's choice.
Fd listen_on_loopback(sockaddr_in& address) {
    address = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t size = sizeof address;
    if (listener.get() < 0 || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size) < 0 ||
        ::listen(listener.get(), SOMAXCONN) < 0 ||
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) {
        fail("a server on the loopback");
    }
    return listener;
}

// Answers requests, one a connection, until the listener is shut down.
void serve(const Fd& listener) {
    while (true) {
        const Fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (client.get() < 0) return;
        const std::string request = receive_until_end(client, "\r\n\r\n");  // GET /path HTTP/1.0
        const std::size_t path = request.find(' ') + 1;
        const auto page = site.find(std::string_view(request).substr(path, request.find(' ', path) - path));
        send_all(client, page == site.end() ? "HTTP/1.0 404 Not Found\r\n\r\n"
                                            : "HTTP/1.0 200 OK\r\n\r\n" + page->second);
    }
}

// --- The crawler ------------------------------------------------------------------------------------------

struct Page {
    std::string path;
    std::string text;
};

Page fetch(const sockaddr_in& address, const std::string& path) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.get() < 0 ||
        ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        fail("connect");
    }
    send_all(socket, "GET " + path + " HTTP/1.0\r\n\r\n");
    const std::string answer = receive_until_end(socket, "");
    if (!answer.starts_with("HTTP/1.0 200"))
        throw std::runtime_error(path + ": " + answer.substr(0, answer.find('\r')));
    return {path, answer.substr(answer.find("\r\n\r\n") + 4)};
}

confab::threads::mutex output("output");

void parse(const Page& page) {
    std::size_t links = 0;
    for (std::size_t at = 0; (at = page.text.find("<a ", at)) != std::string::npos; ++at) ++links;
    const confab::guard held(output);
    std::printf("%s: %zu bytes, %zu links\n", page.path.c_str(), page.text.size(), links);
}

void complain(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& reason) {
        const confab::guard held(output);
        std::printf("failed: %s\n", reason.what());
    }
}

int main() {
    sockaddr_in address{};
    const Fd listener = listen_on_loopback(address);
    std::jthread server([&] { serve(listener); });
    {
        confab::thread_pool pool({.threads = 2});
        for (const char* path : {"/", "/docs", "/news", "/help", "/nowhere"}) {
            pool.apply_async(confab::callbacks{.value = parse, .error = complain}, fetch, address, path);
        }
    }  // the pool ends when all is fetched and parsed
    ::shutdown(listener.get(), SHUT_RDWR);
}
