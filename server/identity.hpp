// Public: as whom a server serves.
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace confab {

/// A user and groups, as numbers.
struct Identity {
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups{};  ///< the supplementary ones
};

/// The user of that name, with the groups that the system gives him; another group instead of his first one,
/// if it is named. Empty: not asked for; a group alone leaves the user who he is, with that group and no
/// other. Nothing when neither is asked for. A sentence when there is no such user or group, or when this
/// process is not root, and so could not become anybody. Any thread.
std::expected<std::optional<Identity>, std::string> find_identity(const std::string& user,
                                                                  const std::string& group);

/// Makes this process that user, in these groups, all its threads, and for good. The kernel forgets then that
/// the process is to end with its parent (PR_SET_PDEATHSIG). Throws std::runtime_error with a sentence that
/// says what and why; then the process is to end, since it may be halfway.
void become(const Identity& identity);

}  // namespace confab
