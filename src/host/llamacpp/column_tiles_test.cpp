#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "llamacpp/backend.h"
#include "llamacpp/testing/tile_buffer_type.h"

namespace llmd::llamacpp {
namespace {

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LLMD_UNDER_TSAN
#endif
#endif
#ifdef LLMD_UNDER_TSAN
constexpr int kThreads = 1;  // it sees nothing of how ggml's threads wait for each other
#else
constexpr int kThreads = 3;
#endif

struct FreeGgml {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
};

std::vector<float> random_values(Rng& rng, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.uniform() * 2 - 1);
  return values;
}

/// Rows of one product, as the CPU holds them.
struct Rows {
  ggml_type type = GGML_TYPE_F32;
  std::int64_t length = 0;
  std::int64_t count = 0;
  std::int64_t heads = 1;
  std::vector<std::byte> bytes;
  std::vector<float> exact;  // what the bytes stand for
};

Rows make_rows(ggml_type type, std::int64_t length, std::int64_t count, std::int64_t heads, std::uint64_t seed) {
  Rng rng{seed};
  Rows rows{type, length, count, heads, {}, {}};
  const std::vector<float> values = random_values(rng, static_cast<std::size_t>(length * count * heads));
  rows.bytes.resize(ggml_row_size(type, length) * static_cast<std::size_t>(count * heads));
  ggml_quantize_chunk(type, values.data(), rows.bytes.data(), 0, count * heads, length, nullptr);
  rows.exact.resize(values.size());
  ggml_get_type_traits(type)->to_float(rows.bytes.data(), rows.exact.data(), static_cast<std::int64_t>(values.size()));
  return rows;
}

/// columns: heads_out x n_columns x length, on `threads` threads; the answer heads_out x n_columns x rows. The rows lie
/// in a buffer of type `rows_in`, or in order.
std::vector<float> multiply(const Rows& rows, const std::vector<float>& columns, std::int64_t n_columns,
                            std::int64_t heads_out, int threads, ggml_backend_buffer_type* rows_in = nullptr) {
  const ggml_init_params params{
      .mem_size = ggml_tensor_overhead() * 8 + ggml_graph_overhead(), .mem_buffer = nullptr, .no_alloc = true};
  const std::unique_ptr<ggml_context, FreeGgml> rows_context{ggml_init(params)};
  const std::unique_ptr<ggml_context, FreeGgml> context{ggml_init(params)};
  ggml_tensor* left = ggml_new_tensor_3d(rows_context.get(), rows.type, rows.length, rows.count, rows.heads);
  ggml_tensor* right = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, rows.length, n_columns, heads_out);
  ggml_tensor* product = ggml_mul_mat(context.get(), left, right);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, product);
  const std::unique_ptr<ggml_backend, FreeGgml> backend{
      ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr)};
  auto* registry = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend.get()));
  reinterpret_cast<ggml_backend_set_n_threads_t>(
      ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads"))(backend.get(), threads);
  const std::unique_ptr<ggml_backend_buffer, FreeGgml> rows_buffer{ggml_backend_alloc_ctx_tensors_from_buft(
      rows_context.get(), rows_in != nullptr ? rows_in : ggml_backend_get_default_buffer_type(backend.get()))};
  const std::unique_ptr<ggml_backend_buffer, FreeGgml> buffer{
      ggml_backend_alloc_ctx_tensors(context.get(), backend.get())};
  EXPECT_TRUE(ggml_backend_supports_op(backend.get(), product));
  ggml_backend_tensor_set(left, rows.bytes.data(), 0, rows.bytes.size());
  ggml_backend_tensor_set(right, columns.data(), 0, columns.size() * sizeof(float));
  EXPECT_EQ(ggml_backend_graph_compute(backend.get(), graph), GGML_STATUS_SUCCESS);
  std::vector<float> out(static_cast<std::size_t>(rows.count * n_columns * heads_out));
  ggml_backend_tensor_get(product, out.data(), 0, out.size() * sizeof(float));
  return out;
}

/// Largest difference from the product in double precision, over the root of the length.
double error_of(const Rows& rows, const std::vector<float>& columns, std::int64_t n_columns, std::int64_t heads_out,
                const std::vector<float>& out) {
  double worst = 0;
  const std::int64_t share = heads_out / rows.heads;
  for (std::int64_t head = 0; head < heads_out; ++head) {
    for (std::int64_t c = 0; c < n_columns; ++c) {
      for (std::int64_t r = 0; r < rows.count; ++r) {
        const float* row = &rows.exact[static_cast<std::size_t>((head / share * rows.count + r) * rows.length)];
        const float* column = &columns[static_cast<std::size_t>((head * n_columns + c) * rows.length)];
        double sum = 0;
        for (std::int64_t k = 0; k < rows.length; ++k)
          sum += static_cast<double>(row[k]) * static_cast<double>(column[k]);
        const float got = out[static_cast<std::size_t>((head * n_columns + c) * rows.count + r)];
        worst = std::max(worst, std::abs(sum - static_cast<double>(got)));
      }
    }
  }
  return worst / std::sqrt(static_cast<double>(rows.length));
}

struct Case {
  ggml_type type;
  std::int64_t length, rows, heads, heads_out;
};

class ColumnTiles : public testing::TestWithParam<Case> {
 protected:
  ColumnTiles() { ensure_backend(); }
};
class PackedRows : public ColumnTiles {};

TEST_P(ColumnTiles, AColumnsProductIsTheSameBitsWhateverStandsBesideIt) {
  const Case& c = GetParam();
  const Rows rows = make_rows(c.type, c.length, c.rows, c.heads, 1);
  Rng rng{2};
  for (const std::int64_t n_columns : {2, 3, 5, 8, 9, 16, 70, 150}) {
    const auto head_size = static_cast<std::size_t>(n_columns * c.length);
    const auto columns = random_values(rng, head_size * static_cast<std::size_t>(c.heads_out));
    const auto together = multiply(rows, columns, n_columns, c.heads_out, kThreads);
    // The quantised activations leave an error of some thousandths of a product's typical size.
    EXPECT_LT(error_of(rows, columns, n_columns, c.heads_out, together), 0.02) << n_columns << " columns";
    for (const std::int64_t one : {std::int64_t{0}, n_columns / 2, n_columns - 1}) {
      std::vector<float> alone;
      for (std::int64_t head = 0; head < c.heads_out; ++head) {
        const float* begin =
            &columns[static_cast<std::size_t>(head) * head_size + static_cast<std::size_t>(one * c.length)];
        alone.insert(alone.end(), begin, begin + c.length);
      }
      const auto expected = multiply(rows, alone, 1, c.heads_out, 1);
      for (std::int64_t head = 0; head < c.heads_out; ++head) {
        const float* got = &together[static_cast<std::size_t>((head * n_columns + one) * c.rows)];
        ASSERT_EQ(std::memcmp(got, &expected[static_cast<std::size_t>(head * c.rows)],
                              static_cast<std::size_t>(c.rows) * sizeof(float)),
                  0)
            << "column " << one << " of " << n_columns << ", head " << head;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ColumnTiles,
                         testing::Values(Case{GGML_TYPE_Q4_0, 64, 40, 1, 1}, Case{GGML_TYPE_Q4_0, 1'536, 33, 1, 1},
                                         Case{GGML_TYPE_Q4_1, 32, 1, 1, 1}, Case{GGML_TYPE_Q4_1, 2'080, 50, 1, 1},
                                         Case{GGML_TYPE_Q8_0, 576, 17, 1, 1}, Case{GGML_TYPE_Q8_0, 4'096, 16, 2, 6},
                                         Case{GGML_TYPE_F16, 64, 300, 3, 9}, Case{GGML_TYPE_F16, 333, 66, 2, 2},
                                         Case{GGML_TYPE_F16, 96, 40, 1, 1}, Case{GGML_TYPE_F16, 128, 70, 2, 4},
                                         Case{GGML_TYPE_F16, 512, 62, 2, 6}, Case{GGML_TYPE_F16, 2'080, 9, 1, 1},
                                         Case{GGML_TYPE_Q4_K, 512, 70, 1, 1}, Case{GGML_TYPE_Q6_K, 768, 21, 1, 1},
                                         Case{GGML_TYPE_Q5_0, 96, 20, 1, 1}, Case{GGML_TYPE_BF16, 80, 20, 1, 1}),
                         [](const auto& tested) {
                           return std::string{ggml_type_name(tested.param.type)} + "_" +
                                  std::to_string(tested.param.length) + "x" + std::to_string(tested.param.rows);
                         });

TEST_P(PackedRows, HaveTheProductsOfTheSameRowsInOrder) {
  const Case& c = GetParam();
  ggml_backend_buffer_type* tiles = testkit::tile_buffer_type();
  if (tiles == nullptr) GTEST_SKIP() << "this machine has no column tiles";
  const Rows rows = make_rows(c.type, c.length, c.rows, c.heads, 1);
  Rng rng{3};
  for (const std::int64_t n_columns : {1, 2, 3, 5, 8, 9, 16, 70, 150}) {
    const auto columns = random_values(rng, static_cast<std::size_t>(n_columns * c.length * c.heads_out));
    const auto expected = multiply(rows, columns, n_columns, c.heads_out, 1);
    const auto got = multiply(rows, columns, n_columns, c.heads_out, kThreads, tiles);
    ASSERT_EQ(std::memcmp(got.data(), expected.data(), expected.size() * sizeof(float)), 0) << n_columns << " columns";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedRows,
                         testing::Values(Case{GGML_TYPE_Q4_0, 32, 16, 1, 1}, Case{GGML_TYPE_Q4_0, 1'536, 112, 1, 1},
                                         Case{GGML_TYPE_Q4_0, 2'080, 32, 1, 3}, Case{GGML_TYPE_Q4_1, 576, 48, 1, 1},
                                         Case{GGML_TYPE_Q4_1, 4'096, 16, 1, 1}, Case{GGML_TYPE_Q8_0, 576, 160, 1, 1},
                                         Case{GGML_TYPE_Q8_0, 3'232, 32, 1, 1}),
                         [](const auto& tested) {
                           return std::string{ggml_type_name(tested.param.type)} + "_" +
                                  std::to_string(tested.param.length) + "x" + std::to_string(tested.param.rows);
                         });

TEST(TileBuffers, RefuseWeightsThatCannotBePacked) {
  ensure_backend();
  ggml_backend_buffer_type* tiles = testkit::tile_buffer_type();
  if (tiles == nullptr) GTEST_SKIP() << "this machine has no column tiles";
  struct Row {
    const char* name;
    ggml_type type;
    std::int64_t length, rows, heads;
  };
  const Row table[] = {{"another type", GGML_TYPE_Q4_K, 256, 16, 1},
                       {"a tile that is not full", GGML_TYPE_Q4_0, 64, 20, 1},
                       {"several matrices", GGML_TYPE_Q4_0, 64, 16, 2},
                       {"rows too long for the scales of a column", GGML_TYPE_Q8_0, 65'536, 16, 1}};
  const std::unique_ptr<ggml_backend, FreeGgml> backend{
      ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr)};
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const std::unique_ptr<ggml_context, FreeGgml> context{
        ggml_init({.mem_size = ggml_tensor_overhead() * 4, .mem_buffer = nullptr, .no_alloc = true})};
    ggml_tensor* left = ggml_new_tensor_3d(context.get(), row.type, row.length, row.rows, row.heads);
    ggml_tensor* right = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, row.length, 2, row.heads);
    const ggml_tensor* product = ggml_mul_mat(context.get(), left, right);
    const std::unique_ptr<ggml_backend_buffer, FreeGgml> buffer{ggml_backend_buft_alloc_buffer(tiles, 0)};
    left->buffer = buffer.get();
    EXPECT_FALSE(ggml_backend_supports_op(backend.get(), product));
  }
}

}  // namespace
}  // namespace llmd::llamacpp
