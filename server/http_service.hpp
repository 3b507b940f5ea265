// Internal to server: a connection that speaks HTTP/1.1, whatever the site is that it talks to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "server/wire/http_request_parser.hpp"

namespace confab {

/// What a site answers.
struct HttpAnswer {
    unsigned status = 200;
    std::string_view type = "text/plain; charset=utf-8";
    std::string headers{};     ///< further header lines, each ended by CRLF
    std::string body{};        ///< or, where that is empty:
    std::string_view fixed{};  ///< a body that outlives the connection
    /// When not empty: the whole answer, after which the connection speaks `switching_to`.
    std::string switching{};
    std::string_view switching_to{};
};

/// A connection that speaks something else from now on.
struct HttpSwitch {
    std::string_view to;  ///< as HttpAnswer::switching_to said
    std::string rest;     ///< what came behind the request that it did so for
};

/// A refusal with a sentence for people.
HttpAnswer refuse(unsigned status, std::string_view why, std::string headers = {});

/// What is served. Used by many connections of a reactor, one call at a time; it does not wait.
class HttpSite {
  public:
    HttpSite() = default;
    HttpSite(const HttpSite&) = delete;
    HttpSite& operator=(const HttpSite&) = delete;
    virtual ~HttpSite() = default;

    /// Answers `request`; the body is left out for HEAD by whoever sends it.
    virtual HttpAnswer answer(const wire::HttpRequestParser& request) = 0;
};

/// Serves requests, one after the other, until the connection has to be closed: nothing; or has switched.
/// `heard`: what has been received already.
///
/// A request has ten seconds to come, from its first byte to its last; a connection without one has a
/// minute, or the stream's own limit if that is shorter.
/// A task that is asked to stop ends at once: who waits for an answer then has to ask again.
task<std::optional<HttpSwitch>> serve_http(Stream& stream, HttpSite& site, std::string heard);

}  // namespace confab
