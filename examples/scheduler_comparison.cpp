// Four jobs, one processor: who works when under each policy, and what that does to the times. First come,
// first served is fair and slow; the shortest job first waits least, but has to know the lengths; round robin
// answers soonest; feedback queues find out which jobs are short by themselves.
#include <confab/pools/scheduling.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

using confab::feedback_queues;
using confab::shortest_job_first;

int main() {
    const std::vector<confab::simulated_job> jobs{
        {"compile", 0, 24}, {"key", 2, 1}, {"list", 3, 5}, {"key", 9, 1}, {"print", 10, 9}};

    std::vector<std::unique_ptr<confab::scheduling_policy>> policies;
    policies.push_back(std::make_unique<confab::first_come_first_served>());
    policies.push_back(std::make_unique<shortest_job_first>());
    policies.push_back(std::make_unique<shortest_job_first>(shortest_job_first::preemption::yes));
    policies.push_back(std::make_unique<confab::round_robin>(4));
    policies.push_back(std::make_unique<feedback_queues>(confab::doubling(2, 3)));

    for (const auto& policy : policies) {
        const confab::schedule result = confab::simulate(*policy, jobs);
        std::printf("%s\n\n%s\n%s\n", std::string(policy->name()).c_str(), result.chart().c_str(),
                    result.table().c_str());
    }
}
