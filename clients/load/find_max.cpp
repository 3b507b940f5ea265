#include "clients/load/find_max.hpp"

#include <limits>

namespace confab::load {

namespace {

class Search {
  public:
    Search(const Slo& slo, const RateSearch& search, const std::function<Probe(double)>& probe)
        : slo_(slo), search_(search), probe_(probe) {}

    RateInterval run() {
        found_.missed = never_missed;
        ceiling_ = never_missed;
        find_held();
        find_missed();
        found_.is_narrow =
            found_.held > 0 && found_.missed - found_.held <= 2 * search_.precision * found_.held;
        return found_;
    }

  private:
    static constexpr double lowest_part = 1000;
    static constexpr double never_missed = std::numeric_limits<double>::infinity();

    bool may_probe() const { return found_.probes < search_.probes; }
    bool is_near(double low, double high) const { return high - low <= search_.precision * low; }

    // Up to the lowest rate at which it is not held, be it missed or unclear.
    void find_held() {
        double rate = search_.start;
        while (may_probe() && rate <= search_.most && rate > search_.start / lowest_part &&
               !is_near(found_.held, ceiling_)) {
            try_rate(rate);
            rate = ceiling_ == never_missed ? found_.held * 2 : (found_.held + ceiling_) / 2;
        }
    }

    // From there, if it was unclear, to the lowest rate at which it is missed.
    void find_missed() {
        double floor = ceiling_;
        while (may_probe() && floor != never_missed && floor < found_.missed &&
               !is_near(floor, found_.missed)) {
            const double rate = found_.missed == never_missed ? floor * 2 : (floor + found_.missed) / 2;
            if (rate > search_.most) break;
            if (verdict_at(rate) == Verdict::missed) {
                found_.missed = rate;
            } else {
                floor = rate;
            }
        }
    }

    void try_rate(double rate) {
        switch (verdict_at(rate)) {
            case Verdict::held:
                found_.held = rate;
                break;
            case Verdict::missed:
                found_.missed = ceiling_ = rate;
                break;
            case Verdict::unclear:
                ceiling_ = rate;
                break;
        }
    }

    Verdict verdict_at(double rate) {
        std::vector<Evidence> all;
        Verdict verdict = Verdict::unclear;
        for (std::size_t i = 0; i < search_.repeats && verdict == Verdict::unclear && may_probe(); ++i) {
            ++found_.probes;
            const Probe probe = probe_(rate);
            if (!probe.failure.empty()) return Verdict::missed;
            all.insert(all.end(), probe.evidence.begin(), probe.evidence.end());
            verdict = judge(slo_, all).verdict;
        }
        return verdict;
    }

    const Slo& slo_;
    const RateSearch& search_;
    const std::function<Probe(double)>& probe_;
    RateInterval found_;
    double ceiling_ = 0;  // the lowest rate at which it is missed or unclear
};

}  // namespace

RateInterval find_max_rate(const Slo& slo, const RateSearch& search,
                           const std::function<Probe(double)>& probe) {
    return Search(slo, search, probe).run();
}

}  // namespace confab::load
