#include "server/identity.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace confab {

namespace {

// One entry of the system's databases, which may come from anywhere and be of any size (getpwnam_r(3)).
// `look_up(buffer, size, &found)` returns an errno.
template <class Entry, class LookUp, class Use>
std::expected<void, std::string> find(const std::string& what, LookUp look_up, Use use) {
    std::vector<char> buffer(1024);
    Entry entry{};
    Entry* found = nullptr;
    int error = 0;
    while ((error = look_up(&entry, buffer.data(), buffer.size(), &found)) == ERANGE || error == EINTR) {
        if (error == ERANGE) buffer.resize(buffer.size() * 2);
    }
    if (found != nullptr) {
        use(entry);
        return {};
    }
    return std::unexpected(what + (error == 0
                                       ? " does not exist on this system"
                                       : " cannot be found: " + std::generic_category().message(error)));
}

std::expected<void, std::string> find_user(const std::string& name, Identity& identity) {
    const auto look_up = [&name](passwd* entry, char* buffer, std::size_t size, passwd** found) {
        return ::getpwnam_r(name.c_str(), entry, buffer, size, found);
    };
    return find<passwd>("--user " + name, look_up, [&identity](const passwd& entry) {
        identity.user = entry.pw_uid;
        identity.group = entry.pw_gid;
    });
}

std::expected<void, std::string> find_group(const std::string& name, Identity& identity) {
    const auto look_up = [&name](group* entry, char* buffer, std::size_t size, group** found) {
        return ::getgrnam_r(name.c_str(), entry, buffer, size, found);
    };
    return find<group>("--group " + name, look_up,
                       [&identity](const group& entry) { identity.group = entry.gr_gid; });
}

// With the first one among them.
std::vector<gid_t> groups_of(const std::string& user, gid_t first) {
    int count = 16;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    while (::getgrouplist(user.c_str(), first, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(count));
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

}  // namespace

std::expected<std::optional<Identity>, std::string> find_identity(const std::string& user,
                                                                  const std::string& group) {
    if (user.empty() && group.empty()) return std::nullopt;
    Identity identity{.user = ::getuid(), .group = ::getgid()};
    if (!user.empty()) {
        if (const auto found = find_user(user, identity); !found) return std::unexpected(found.error());
    }
    if (!group.empty()) {
        if (const auto found = find_group(group, identity); !found) return std::unexpected(found.error());
    }
    if (::geteuid() != 0) return std::unexpected("--user and --group are for root, who alone can be others");
    identity.groups = user.empty() ? std::vector{identity.group} : groups_of(user, identity.group);
    return identity;
}

void become(const Identity& identity) {
    const bool is_it = ::setgroups(identity.groups.size(), identity.groups.data()) == 0 &&
                       ::setresgid(identity.group, identity.group, identity.group) == 0 &&
                       ::setresuid(identity.user, identity.user, identity.user) == 0;
    if (is_it) return;
    throw std::runtime_error("cannot become user " + std::to_string(identity.user) + " of group " +
                             std::to_string(identity.group) + ": " + std::generic_category().message(errno));
}

}  // namespace confab
