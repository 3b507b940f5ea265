// Public: who works next: the policies of the textbooks, for pools whose tasks yield and for the simulation
// of a processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace confab {

/// Units of work: in a simulation of time, in a pool steps of tasks.
using ticks = std::uint64_t;

/// A job that has work left. The policy keeps what it must know about it in here.
struct ready_job {
    std::size_t id = 0;
    ticks expected_left = 0;  ///< as far as it was told; only the shortest-job policies look at it
    std::size_t level = 0;    ///< of feedback_queues
    ticks used = 0;           ///< since the job was last given a slice, or of what its level allows it
};

/// Decides which of the ready jobs works next, and for how long. One thread at a time.
///
/// Who uses it adds jobs as they become ready, takes the next one, lets it work, and puts it back unless it
/// is done; `expected_left` and `used` of a job it took it brings up to date itself. When jobs were added
/// while one works, it asks whether that has to make room.
class scheduling_policy {
  public:
    static constexpr ticks unlimited = std::numeric_limits<ticks>::max();

    virtual ~scheduling_policy() = default;

    virtual std::string_view name() const = 0;
    /// A new one.
    virtual void add(ready_job job) = 0;
    /// One that was taken and has not finished: its slice is used up, or it made room.
    virtual void put_back(ready_job job) = 0;
    /// Takes the next one; nothing: none is ready.
    virtual std::optional<ready_job> next() = 0;
    /// How long it may work before it is to be put back, from now on.
    virtual ticks slice(const ready_job& job) const = 0;
    /// Whether this one, which works, has to make room for one that is ready.
    virtual bool must_make_room(const ready_job& working) const = 0;
};

/// First come, first served, to the end. Fair to long jobs, and everybody behind one waits for it.
class first_come_first_served final : public scheduling_policy {
  public:
    std::string_view name() const override { return "first come, first served"; }
    void add(ready_job job) override { jobs_.push_back(job); }
    void put_back(ready_job job) override { jobs_.push_front(job); }
    std::optional<ready_job> next() override;
    ticks slice(const ready_job&) const override { return unlimited; }
    bool must_make_room(const ready_job&) const override { return false; }

  private:
    std::deque<ready_job> jobs_;
};

/// The job that is expected to be done soonest; of equal ones the one that was ready first. The shortest
/// average waiting there can be, if the expectations are true; a long job may never get its turn.
class shortest_job_first final : public scheduling_policy {
  public:
    enum class preemption {
        no,   ///< a job that works goes on to its end
        yes,  ///< it makes room for one that needs less time than it still does: shortest remaining time
              ///< first
    };

    explicit shortest_job_first(preemption how = preemption::no) : preemption_(how) {}
    std::string_view name() const override {
        return preemption_ == preemption::yes ? "shortest remaining time first" : "shortest job first";
    }
    void add(ready_job job) override { jobs_.emplace(job.expected_left, next_arrival_++, job); }
    void put_back(ready_job job) override { add(job); }
    std::optional<ready_job> next() override;
    ticks slice(const ready_job&) const override { return unlimited; }
    bool must_make_room(const ready_job& working) const override;

  private:
    struct Entry {
        ticks expected_left;
        std::uint64_t arrival;
        ready_job job;
        Entry(ticks left, std::uint64_t number, ready_job it)
            : expected_left(left), arrival(number), job(it) {}
        friend bool operator<(const Entry& one, const Entry& other) {
            return std::pair(one.expected_left, one.arrival) < std::pair(other.expected_left, other.arrival);
        }
    };

    const preemption preemption_;
    std::set<Entry> jobs_;
    std::uint64_t next_arrival_ = 0;
};

/// Each in turn for a quantum. Everybody is answered soon; the shorter the quantum, the sooner, and the more
/// often jobs change; with one as long as the longest job it is first come, first served.
class round_robin final : public scheduling_policy {
  public:
    /// Throws std::invalid_argument for 0.
    explicit round_robin(ticks quantum);
    std::string_view name() const override { return "round robin"; }
    void add(ready_job job) override { jobs_.push_back(job); }
    void put_back(ready_job job) override;
    std::optional<ready_job> next() override;
    ticks slice(const ready_job& job) const override { return quantum_ - job.used; }
    bool must_make_room(const ready_job&) const override { return false; }

  private:
    const ticks quantum_;
    std::deque<ready_job> jobs_;
};

/// Quanta for `queues` queues, each twice the one before.
std::vector<ticks> doubling(ticks first_quantum, std::size_t queues);

/// Multilevel feedback: short jobs first without being told which are short. A new job enters the first
/// queue. Who has used up what its queue allows, whether at one go or not, goes to the next, which is served
/// only while all those before it are empty, and usually allows more; in the last queue it is each in turn. A
/// job that works makes room at once for one that becomes ready in an earlier queue, and goes to the end of
/// its own, where it may use what is left to it. Long jobs may never get their turn while short ones keep
/// coming.
class feedback_queues final : public scheduling_policy {
  public:
    /// What each queue allows. Throws std::invalid_argument for no queue, or one that allows nothing.
    explicit feedback_queues(std::vector<ticks> quanta);
    std::string_view name() const override { return "multilevel feedback queues"; }
    void add(ready_job job) override { queues_[job.level].push_back(job); }
    void put_back(ready_job job) override;
    std::optional<ready_job> next() override;
    ticks slice(const ready_job& job) const override { return quanta_[job.level] - job.used; }
    bool must_make_room(const ready_job& working) const override;

  private:
    const std::vector<ticks> quanta_;
    std::vector<std::deque<ready_job>> queues_;
};

/// A job for the simulation.
struct simulated_job {
    std::string name;
    ticks arrival = 0;
    ticks length = 0;  ///< which the policy is told, too
};

/// What became of the jobs, on one processor that changes between them in no time.
struct schedule {
    struct stretch {
        std::size_t job;
        ticks begin, end;
        friend bool operator==(const stretch&, const stretch&) = default;
    };
    struct times {
        ticks waiting;     ///< ready, and not at work
        ticks turnaround;  ///< from arrival to end
        ticks response;    ///< from arrival to beginning
        friend bool operator==(const times&, const times&) = default;
    };

    std::vector<simulated_job> jobs;
    std::vector<stretch> stretches;  ///< in time; those of one job that follow each other are one
    std::vector<times> of_jobs;

    double average_waiting() const;
    double average_turnaround() const;
    double average_response() const;

    /// The stretches as a chart, one column a tick or, where that is too wide, so many ticks:
    ///
    ///     |A  |B |A    |
    ///     0   4  7     13
    std::string chart(std::size_t width = 76) const;
    /// The times of each job, and on average.
    std::string table() const;
};

/// Runs the jobs by the policy, which must be empty. What arrives at the same time is ready in the order
/// given; what arrives when a slice ends is ready before the job whose slice it was. Deterministic.
schedule simulate(scheduling_policy& policy, std::vector<simulated_job> jobs);

}  // namespace confab
