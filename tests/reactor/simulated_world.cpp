#include "tests/reactor/simulated_world.hpp"

#include <stdexcept>

namespace confab::testing {

namespace {

int must(int result, const char* call) {
    if (result < 0) throw std::runtime_error(call);
    return result;
}

class SimulatedSockets final : public Sockets {
  public:
    explicit SimulatedSockets(const SimulationOptions& options) : network_(options) {}
    ~SimulatedSockets() override {
        for (const int fd : silent_) network_.close(fd);
        CHECK(network_.leaks() == "");
    }

    std::string_view name() const override { return "simulated"; }
    Pair pair() override {
        const auto [here, there] = network_.connected_pair();
        return {here, there};
    }
    int listener() override { return must(network_.listen(0), "listen"); }
    Endpoint endpoint(int listener) override {
        return SimulatedNetwork::endpoint(static_cast<std::uint16_t>(must(network_.port(listener), "port")));
    }
    int socket() override { return must(network_.socket(), "socket"); }
    Endpoint nowhere() override { return SimulatedNetwork::endpoint(1); }
    // A listener whose backlog is full.
    Endpoint silence() override {
        silent_.push_back(listener());
        const auto port = static_cast<std::uint16_t>(must(network_.port(silent_.front()), "port"));
        for (std::size_t i = 0; i < network_.options().backlog; ++i) {
            silent_.push_back(socket());
            const int result = network_.connect(silent_.back(), port);
            if (result != -EINPROGRESS) must(result, "connect");
        }
        network_.pass(network_.options().longest_delay);
        return SimulatedNetwork::endpoint(port);
    }
    void reset(int fd) override {
        network_.reset(fd);
        close(fd);
    }
    void close(int fd) override { must(network_.close(fd), "close"); }
    void leave_descriptors(int count) override {
        network_.set_descriptor_limit(network_.open_descriptors() + count);
    }
    void prepare(ReactorOptions& options) override { options.network = &network_; }

  private:
    SimulatedNetwork network_;
    std::vector<int> silent_;
};

}  // namespace

std::unique_ptr<Sockets> make_simulated_sockets(const SimulationOptions& options) {
    return std::make_unique<SimulatedSockets>(options);
}

std::vector<SimulationOptions> simulated_worlds() {
    std::vector<SimulationOptions> worlds;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
        SimulationOptions options;
        options.seed = seed;
        options.lends_scratch = seed % 2 == 0;
        options.late = options.delay = options.reorder = seed < 2 ? 0 : 0.5;
        worlds.push_back(options);
    }
    return worlds;
}

}  // namespace confab::testing
