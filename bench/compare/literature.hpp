// Public: what others have published about these models, and whether this machine shows it too.
#pragma once

#include <string>
#include <vector>

#include "bench/compare/record.hpp"

namespace confab::compare {

/// The settings of a run from which `findings` can tell: Settings::literature and who has to take part.
Settings literature_settings(std::uint64_t seed);

enum class Reproduced : std::uint8_t {
    yes,
    in_part,  ///< some of what was claimed
    no,
    unclear,  ///< too noisy, or too few blocks
};
const char* name(Reproduced reproduced);

struct Finding {
    std::string id;      ///< "R1"
    std::string source;  ///< "Gammo et al., OLS 2004"
    std::string claim;   ///< a sentence
    Reproduced reproduced = Reproduced::unclear;
    std::string figures;  ///< what was found, and what was claimed
};

/// R1 to R8; none when `record` is not of such a run.
std::vector<Finding> findings(const Record& record);
std::string text_of(const std::vector<Finding>& findings);

}  // namespace confab::compare
