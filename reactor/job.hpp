// Public: the smallest thing a reactor can run, and a queue of them.
#pragma once

namespace confab {

/// Something that is to run once on a reactor's thread. It is a link in an intrusive queue, so that making
/// anything ready allocates nothing: the job lives in whatever waits (a coroutine's frame, a connection).
/// It must stay where it is from the moment it is queued until `run` is called; `run` may destroy it.
struct Job {
    using Run = void (*)(Job&) noexcept;

    explicit Job(Run function) : run(function) {}
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    Job* next = nullptr;
    Run run;
};

/// First in, first out; owns nothing. One thread at a time.
class JobQueue {
  public:
    bool empty() const { return head_ == nullptr; }

    void push(Job& job) {
        job.next = nullptr;
        *tail_ = &job;
        tail_ = &job.next;
    }

    /// The oldest job, taken out; nullptr when there is none.
    Job* pop() {
        Job* const job = head_;
        if (job == nullptr) return nullptr;
        head_ = job->next;
        if (head_ == nullptr) tail_ = &head_;
        return job;
    }

    /// Takes `job` out wherever it stands; false when it is not in this queue. Linear: for rare ways out
    /// only.
    bool remove(Job& job) {
        for (Job** link = &head_; *link != nullptr; link = &(*link)->next) {
            if (*link != &job) continue;
            *link = job.next;
            if (job.next == nullptr) tail_ = link;
            return true;
        }
        return false;
    }

    /// Moves all of `other` behind what is here.
    void append(JobQueue& other) {
        if (other.empty()) return;
        *tail_ = other.head_;
        tail_ = other.tail_;
        other.head_ = nullptr;
        other.tail_ = &other.head_;
    }

    JobQueue() = default;
    JobQueue(const JobQueue&) = delete;
    JobQueue& operator=(const JobQueue&) = delete;

  private:
    Job* head_ = nullptr;
    Job** tail_ = &head_;
};

}  // namespace confab
