// Internal to clients: HTTP/1.1 requests for one resource, and their responses.
#pragma once

#include <memory>
#include <string>

#include "clients/load/dialogue.hpp"

namespace confab::load {

/// The GET request for `path` of `host`; `closes`: the server is asked to close the connection afterwards.
std::string http_request(const std::string& host, const std::string& path, bool closes);

/// `requests`: as many of these, in a row, as are sent at once; outlives the dialogues. A response is a
/// message answered, whatever its status. One of 400 and above counts as a complaint; one whose status or
/// body is another than that of the worker's first response, with `same_bodies`, or that is no HTTP, as
/// corrupted.
std::unique_ptr<Dialogues> make_http_dialogues(std::string_view requests, std::size_t request_size,
                                               bool same_bodies);

}  // namespace confab::load
