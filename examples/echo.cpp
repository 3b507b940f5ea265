#include <confab/confab.hpp>

confab::task<void> echo(confab::Stream& stream) {
    while (true) {
        const confab::Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        const confab::Sent sent = co_await stream.send(*bytes);
        if (!sent) co_return;
    }
}

int main(int argc, char** argv) { return confab::serve(echo, argc > 1 ? argv[1] : "127.0.0.1:7777"); }
