// Internal to reactor: what io_uring has and the headers of liburing 2.3 (Debian 12) do not know yet.
//
// Under names of our own, so that newer headers, which define some as macros and some as enumerators, never
// clash.
#pragma once

#include <cstdint>

namespace confab::uring_constants {

/// IOU_PBUF_RING_INC (6.12), in io_uring_buf_reg.pad, which later headers call `flags`.
inline constexpr std::uint16_t buffers_incremental = 2;

/// IORING_SETUP_NO_SQARRAY (6.6). Newer liburing sets it by itself; 2.3 would write over ring memory with it.
inline constexpr unsigned setup_no_sqarray = 1U << 16;

}  // namespace confab::uring_constants
