// Public: what a kernel's io_uring may be allowed to do for a reactor.
#pragma once

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <string>
#include <string_view>

namespace confab {

/// What a reactor on io_uring does better where the kernel lets it; without any it works all the same.
enum class UringFeature : std::uint8_t {
    defer_taskrun,    ///< completions are made when we ask for them, in batches (6.1)
    coop_taskrun,     ///< completions do not interrupt us (5.19); used where defer_taskrun is not
    registered_ring,  ///< entering spares the descriptor look-up (5.18)
    buffer_ring,      ///< received bytes lie in buffers that the kernel picks: an idle connection holds none
                      ///< (5.19)
    incremental,      ///< many receives fill one large buffer (6.12); takes buffer_ring
    multishot_receive,  ///< a receive stays armed (6.0); takes buffer_ring
    receive_cap,        ///< an armed receive brings only so much at a time (6.17); takes multishot_receive
    multishot_accept,   ///< an accept stays armed (5.19)
    cancel_by_fd,       ///< all that is in flight on a descriptor can be cancelled at once (5.19)
};
inline constexpr unsigned uring_feature_count = 9;

/// A set of them.
class UringFeatures {
  public:
    constexpr UringFeatures() = default;
    constexpr UringFeatures(std::initializer_list<UringFeature> features) {
        for (const UringFeature feature : features) add(feature);
    }
    static constexpr UringFeatures all() {
        UringFeatures features;
        features.bits_ = (1U << uring_feature_count) - 1;
        return features;
    }

    constexpr bool has(UringFeature feature) const { return (bits_ & bit(feature)) != 0; }
    constexpr void add(UringFeature feature) { bits_ |= bit(feature); }
    constexpr void add(UringFeatures features) { bits_ |= features.bits_; }
    constexpr void remove(UringFeature feature) { bits_ &= ~bit(feature); }
    friend constexpr bool operator==(UringFeatures, UringFeatures) = default;

    /// "defer_taskrun, buffer_ring": their names in the order above; "" for none.
    std::string names() const;

  private:
    static constexpr unsigned bit(UringFeature feature) { return 1U << static_cast<unsigned>(feature); }

    unsigned bits_ = 0;
};

/// Reads what `--uring-features` takes: "all", "none", "all,-incremental,-multishot_receive" (so does
/// "-incremental,-multishot_receive"), or a list of those to be used, "defer_taskrun,buffer_ring". Later
/// words outdo earlier ones. The error names the word and says what is allowed.
std::expected<UringFeatures, std::string> parse_uring_features(std::string_view text);

}  // namespace confab
