// A lock is a toilet for one; a semaphore is a public one, with several cubicles. Ten people want in, there
// is room for five, and the others wait until somebody comes out. It bounds how many are inside at once; what
// they share in there they still have to lock.
#include <confab/pools/guard.hpp>
#include <confab/pools/threads/barrier.hpp>
#include <confab/pools/threads/mutex.hpp>
#include <confab/pools/threads/semaphore.hpp>
#include <cstdio>
#include <thread>
#include <vector>

namespace threads = confab::threads;

constexpr int people = 10;
constexpr int room = 5;

threads::bounded_semaphore cubicles(room);  // bounded: who comes out twice is found out
threads::barrier all_taken(room);
threads::mutex door("door");
int inside = 0;

void visit(int person) {
    cubicles.acquire();
    {
        const confab::guard held(door);
        std::printf("person %d goes in, %d inside\n", person, ++inside);
    }
    (void)all_taken.wait();  // nobody comes out before it was full, so that there is something to see
    {
        const confab::guard held(door);
        std::printf("person %d comes out, %d inside\n", person, --inside);
    }
    cubicles.release();
}

int main() {
    std::vector<std::jthread> queue;
    for (int person = 1; person <= people; ++person) queue.emplace_back(visit, person);
}
