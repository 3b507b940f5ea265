// Public: the stack trace that coroutines lack.
#pragma once

#include <string>

namespace confab {

/// The scopes and tasks of this thread, a line each, indented by who owns whom: name, where it was spawned,
/// and what it waits for and where (file and line of the await). Reactor's thread only (post a job to ask
/// another).
///
///     chat (server.cpp:120) waits in receive at line_face.cpp:88
std::string task_tree();

}  // namespace confab
