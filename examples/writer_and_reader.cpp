// One process writes, another reads: over a queue, and over a pipe. Both end when there is nothing more to
// come, without a word that means "the end": a queue is closed, and of a pipe the last writing end is.
#include <confab/pools/connection.hpp>
#include <confab/pools/processes/channel.hpp>
#include <confab/pools/processes/process.hpp>
#include <cstdio>
#include <string>

namespace processes = confab::processes;

void over_a_queue() {
    processes::channel<std::string> queue(2);  // the writer waits when it is two ahead
    processes::process writer([&queue] {
        for (const char* const word : {"A", "B", "C"}) (void)queue.put(word);
        queue.close();
    });
    processes::process reader([&queue] {
        while (const auto word = queue.get()) std::printf("from the queue: %s\n", word->c_str());
        std::printf("the queue is closed\n");
    });
    reader.start();
    writer.start();
    writer.join();
    reader.join();
}

void over_a_pipe() {
    auto [reading_end, writing_end] = confab::make_pipe();
    // What is moved into a process is gone here once that has started: or the pipe would never end. And so
    // the reader, which gets copies of what is open here, is started after the writer.
    processes::process writer([end = std::move(writing_end)]() mutable {
        for (const char* const word : {"A", "B", "C"}) (void)end.send(word);
    });
    writer.start();
    processes::process reader([end = std::move(reading_end)]() mutable {
        while (const auto message = end.receive()) {
            std::printf("from the pipe: %s\n", std::string(message->text()).c_str());
        }
        std::printf("the pipe has ended\n");
    });
    reader.start();
    writer.join();
    reader.join();
}

void over_a_two_way_pipe() {
    auto [ours, theirs] = confab::make_two_way_pipe();
    processes::process child([end = std::move(theirs)]() mutable {
        const auto question = end.receive();
        (void)end.send("an answer to: " + std::string(question->text()));
    });
    child.start();
    (void)ours.send("a question");
    std::printf("from the child: %s\n", std::string(ours.receive()->text()).c_str());
}

int main() {
    over_a_queue();
    over_a_pipe();
    over_a_two_way_pipe();
}
