// Internal to server: which processor each thread that serves stays on.
#pragma once

#include <span>
#include <vector>

namespace confab {

/// The processors that the calling thread may use, by the kernel's numbers, in order: never none. Throws
/// std::system_error when the kernel does not say, as on a machine of more than 1024.
std::vector<int> usable_processors();

/// Which of `usable` the threads of a worker stay on, one each: those of all workers, of as many threads
/// each, take them in turn, worker 0 first. Requires: `usable` is not empty.
std::vector<int> processors_of(std::span<const int> usable, unsigned worker, unsigned threads);

/// Has the calling thread, and those it makes from here on, stay on these. False, with the reason in errno:
/// everything stays as it is.
bool stay_on(std::span<const int> processors);

}  // namespace confab
