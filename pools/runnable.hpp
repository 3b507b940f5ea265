// Public: what a thread or a process can be made of besides a callable.
#pragma once

#include <stop_token>

namespace confab {

/// Derive from it and override `run`:
///
///     class greeter : public confab::runnable {
///       public:
///         explicit greeter(std::string name) : name_(std::move(name)) {}
///         void run(std::stop_token) override { std::puts(("hello from " + name_).c_str()); }
///       private:
///         std::string name_;
///     };
///     confab::processes::process child{greeter("alex")};
///     confab::threads::thread helper{greeter("alex")};
///
/// The object is separate from the handle that starts it. A handle to derive from could not be moved without
/// leaving its `run` behind; and a thread would outlive the derived members, which die before the base that
/// joins it.
class runnable {
  public:
    virtual ~runnable() = default;

    /// The work. It should end soon after `stop` is requested.
    virtual void run(std::stop_token stop) = 0;

  protected:
    runnable() = default;
    runnable(const runnable&) = default;
    runnable& operator=(const runnable&) = default;
};

}  // namespace confab
