// The worker's side of a process pool: runs in processes that a launcher has started.
#include <signal.h>

#include <cstring>

#include "pools/exception_text.hpp"
#include "pools/processes/mailbox.hpp"

namespace confab::processes {

void Mailbox::put(std::span<const std::byte> content) {
    size = content.size();
    is_in_pipe = content.size() > room;
    if (!is_in_pipe && !content.empty()) std::memcpy(bytes.data(), content.data(), content.size());
}

void Mailbox::bury() {
    // It is dead: nobody but the program's own thread changes the turn any more, from idle to request at
    // most.
    while (true) {
        switch (const auto seen = static_cast<Turn>(turn.load())) {
            case idle:
            case working:
            case quit:
                if (pass(seen, dead_working)) return;
                break;
            case request:
                if (pass(seen, dead_untaken)) return;
                break;
            case reply:
            case dead_working:
            case dead_untaken:
                return;
        }
    }
}

namespace {

class PoolWorker {
  public:
    PoolWorker(Mailbox& mailbox, connection& pipe) : mailbox_(mailbox), pipe_(pipe) {}

    /// Calls `work` with where its result goes, and hands over that, or what it threw.
    template <class Work>
    bool answer(Work work) {
        result_.clear();
        mailbox_.kind = Mailbox::Kind::value;
        try {
            byte_writer archive(result_);
            work(archive);
        } catch (...) {
            const ExceptionText text = current_exception_text();
            result_.clear();
            byte_writer archive(result_);
            archive(text.type, text.what);
            mailbox_.kind = Mailbox::Kind::exception;
        }
        mailbox_.put(result_);
        const bool is_in_pipe = mailbox_.is_in_pipe;  // the turn given, it is not ours to read
        if (!mailbox_.pass(Mailbox::working, Mailbox::reply)) return false;
        return !is_in_pipe || pipe_.send(result_).has_value();
    }

    /// False: told to quit, asked to stop, or the program is gone.
    bool do_next(const std::stop_token& stop) {
        const Mailbox::Turn turn = mailbox_.wait_while(
            [](Mailbox::Turn now) { return now != Mailbox::request && now != Mailbox::quit; }, patience_,
            stop);
        if (turn != Mailbox::request || stop.stop_requested()) return false;
        if (!mailbox_.pass(Mailbox::request, Mailbox::working)) return false;
        const auto& entry = *reinterpret_cast<const TaskEntry*>(mailbox_.entry);
        std::span<const std::byte> arguments =
            std::span(mailbox_.bytes).first(mailbox_.is_in_pipe ? 0 : mailbox_.size);
        if (mailbox_.is_in_pipe) {
            if (!pipe_.receive_into(request_)) return false;
            arguments = request_.bytes;
        }
        return answer([&](byte_writer& result) {
            byte_reader archive(arguments);
            entry.run(archive, stop, result);
        });
    }

  private:
    Mailbox& mailbox_;
    connection& pipe_;
    Patience patience_;
    message request_;  // memory for what comes through the pipe, used again
    std::vector<std::byte> result_;
};

}  // namespace

int run_pool_worker(const std::stop_token& stop, Mailbox& mailbox, connection pipe, void (*initializer)()) {
    ::signal(SIGINT, SIG_IGN);  // a terminal's is for the program to decide about
    PoolWorker worker(mailbox, pipe);
    bool goes_on = worker.answer([initializer](byte_writer&) {
        if (initializer != nullptr) initializer();
    });
    while (goes_on) goes_on = worker.do_next(stop) && !stop.stop_requested();
    return 0;
}

}  // namespace confab::processes
