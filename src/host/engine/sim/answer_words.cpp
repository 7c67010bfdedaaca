#include "engine/sim/answer_words.h"

#include "base/rng.h"

namespace llmd::engine {

std::vector<std::string_view> AnswerWords::texts() {
  return {" the", " and", " for", " you", " not", " are", " but", " all", " any", " can", " one", " two", " day",
          " get", " has", " her", " him", " his", " how", " man", " new", " now", " old", " our", " out", " see",
          " she", " use", " way", " who", " boy", " did", " let", " put", " say", " too", " top", " sun", " sea",
          " sky", " red", " big", " far", " few", " own", " off", " end", " set", " run", " try", " ask", " men",
          " why", " yet", " air", " art", " car", " cut", " dry", " eat", " eye", " fly", " job", " key"};
}

const AnswerWords::Word& AnswerWords::at(std::uint64_t seed, std::uint32_t index) const noexcept {
  Rng rng{seed + index * 0x9e3779b97f4a7c15ULL};
  return words_[rng.below(words_.size())];
}

}  // namespace llmd::engine
