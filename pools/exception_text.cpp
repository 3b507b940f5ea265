#include "pools/exception_text.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>

namespace confab {

namespace {

std::string readable(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
    return status == 0 ? name.get() : type.name();
}

}  // namespace

ExceptionText current_exception_text() {
    const std::type_info* const type = abi::__cxa_current_exception_type();
    ExceptionText text{.type = type != nullptr ? readable(*type) : "a foreign exception", .what = {}};
    try {
        throw;
    } catch (const std::exception& error) {
        text.what = error.what();
    } catch (...) {  // there is nothing that it says
    }
    return text;
}

}  // namespace confab
