// What becomes of processes that nobody looks after, shown with fork(2) itself, and cured.
//
// A zombie: a child that has ended stays in the kernel's table until its parent asks how. An orphan: a child
// whose parent has died goes on, under the care of process 1 (or of a "subreaper": here this program makes
// itself one, so that it can look).
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <confab/pools/connection.hpp>
#include <confab/pools/processes/identity.hpp>
#include <confab/pools/processes/process.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

namespace processes = confab::processes;

// fork(2), whose failure must not go on as the number of a child: kill(-1) is for everybody.
pid_t fork_here() {
    std::fflush(stdout);  // or each copy of the buffer would be printed
    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::system_category(), "fork");
    return pid;
}

// As `ps` shows it: 'S' asleep, 'Z' a zombie, '-' there is no such process.
char state_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string number;
    std::string name;
    char state = '-';
    file >> number >> name >> state;
    return state;
}

void wait_until_state(pid_t pid, char state) {
    while (state_of(pid) != state) std::this_thread::yield();
}

void show_zombie() {
    const pid_t child = fork_here();
    if (child == 0) ::_exit(0);
    wait_until_state(child, 'Z');
    std::printf("fork: the child has ended, and is a zombie\n");
    ::waitpid(child, nullptr, 0);
    std::printf("fork: its parent has asked how, and it is gone\n");

    processes::process cured([] {});
    cured.start();
    wait_until_state(*cured.pid(), '-');
    std::printf("process: the child has ended, and is gone, with exit code %d\n", *cured.exitcode());
}

void show_orphan() {
    auto [reader, writer] = confab::make_pipe();
    const pid_t parent = fork_here();
    if (parent == 0) {
        const pid_t child = fork_here();
        if (child == 0) {
            while (true) ::pause();
        }
        (void)writer.send(std::to_string(child));
        while (true) ::pause();
    }
    writer.close();  // or who waits for the other copy's end, should it come without a word, waits for ever
    const pid_t orphan = std::stoi(std::string(reader.receive().value().text()));
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    std::printf("fork: the parent was killed, and its child is %s\n",
                state_of(orphan) == '-' ? "gone" : "alive: an orphan");
    ::kill(orphan, SIGKILL);
    ::waitpid(orphan, nullptr, 0);
}

void show_cured_orphan() {
    auto [reader, writer] = confab::make_pipe();
    processes::process parent([end = std::move(writer)]() mutable {
        processes::process child([] {
            while (true) ::pause();
        });
        child.start();
        (void)end.send(std::to_string(*child.pid()));
        while (true) ::pause();
    });
    parent.start();
    const auto child = processes::identity::of(std::stoi(std::string(reader.receive().value().text())));
    parent.kill();
    parent.join();
    std::printf("process: the parent was killed (exit code %d), ", *parent.exitcode());
    std::fflush(stdout);
    while (child->alive()) std::this_thread::yield();
    std::printf("and its child died with it\n");
}

int main() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    show_zombie();
    show_orphan();
    show_cured_orphan();
}
