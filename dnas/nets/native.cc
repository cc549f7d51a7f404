// What XLA does slowly on the CPU, as custom calls: depthwise convolution (depthwise.py), batch norm (layers.py) and the
// weighted sums of a mixed operation (supernet.py). Images are [..., H, W, C], channels innermost and in vectors.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

using Dims = ffi::Span<const int64_t>;

// Run body(task) for all tasks on the pool; the calling thread takes part, so that it never waits for an idle pool.
template <typename Body>
void parallel(ffi::ThreadPool& pool, int64_t tasks, const Body& body) {
  struct Shared { std::atomic<int64_t> next{0}, done{0}; };
  auto shared = std::make_shared<Shared>();
  auto work = [shared, tasks, &body] {
    for (int64_t task; (task = shared->next.fetch_add(1)) < tasks; shared->done.fetch_add(1)) body(task);
  };
  int64_t helpers = std::min<int64_t>(pool.num_threads(), tasks) - 1;
  for (int64_t i = 0; i < helpers; ++i) pool.Schedule(std::function<void()>(work));
  work();
  while (shared->done.load() < tasks) std::this_thread::yield();
}

template <typename T> struct Lanes {
  static constexpr int count = 64 / sizeof(T);
  typedef T Vector __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
};
template <typename T> using Vec = typename Lanes<T>::Vector;
template <typename T> const Vec<T>& load(const T* p) { return *reinterpret_cast<const Vec<T>*>(p); }
template <typename T> Vec<T>& at(T* p) { return *reinterpret_cast<Vec<T>*>(p); }
template <typename T> int64_t whole(int64_t c) { return (c + Lanes<T>::count - 1) / Lanes<T>::count * Lanes<T>::count; }

template <typename T> T* scratch(int which, int64_t size) {
  thread_local std::vector<T> buffers[3];
  if (static_cast<int64_t>(buffers[which].size()) < size) buffers[which].resize(size);
  return buffers[which].data();
}

struct Image {  // one image and where it lies in a padded copy
  int64_t height, width, channels, top, left, spread_h, spread_w, padded_height, padded_width;
};

// Copy an image into zeros: pixel (i, j) goes to (top + i * spread_h, left + j * spread_w) if that is inside, channels
// up to whole vectors.
template <typename T>
const T* pad(const T* image, const Image& s, int which = 0) {
  int64_t c = whole<T>(s.channels);
  T* padded = scratch<T>(which, s.padded_height * s.padded_width * c);
  std::memset(padded, 0, sizeof(T) * s.padded_height * s.padded_width * c);
  for (int64_t i = 0; i < s.height; ++i) {
    int64_t to = s.top + i * s.spread_h;
    if (to < 0 || to >= s.padded_height) continue;
    T* row = padded + to * s.padded_width * c;
    const T* from = image + i * s.width * s.channels;
    if (s.spread_w == 1 && c == s.channels && s.left >= 0 && s.left + s.width <= s.padded_width) {
      std::memcpy(row + s.left * c, from, sizeof(T) * s.width * c);
      continue;
    }
    for (int64_t j = 0; j < s.width; ++j) {
      int64_t column = s.left + j * s.spread_w;
      if (column >= 0 && column < s.padded_width)
        std::memcpy(row + column * c, from + j * s.channels, sizeof(T) * s.channels);
    }
  }
  return padded;
}

// N pixels of one row: sums over the window of padded pixel times kernel, for one vector of channels.
template <typename T, int N>
void pixels(const T* in, const T* kernel, int k, int64_t row, int64_t column, int64_t step, int64_t c, Vec<T>* out) {
  for (int u = 0; u < k; ++u)
    for (int v = 0; v < k; ++v) {
      const Vec<T> weight = load(kernel + (u * k + v) * c);
      const T* p = in + u * row + v * column;
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) out[n] += load(p + n * step) * weight;
    }
}

// One image [H, W, C] from its padded input: out = (add ? out : 0) + window sums.
template <typename T>
void convolve(const T* in, int64_t padded_width, const T* kernel, int k, int64_t stride, int64_t dilation,
              int64_t height, int64_t width, int64_t channels, bool add, T* out) {
  constexpr int lanes = Lanes<T>::count;
  int64_t c = whole<T>(channels), row = dilation * padded_width * c, column = dilation * c, step = stride * c;
  for (int64_t i = 0; i < height; ++i)
    for (int64_t b = 0; b < channels; b += lanes) {
      int64_t live = std::min<int64_t>(lanes, channels - b);
      const T* line = in + i * stride * padded_width * c + b;
      T* to = out + i * width * channels + b;
      auto run = [&](auto number, int64_t j) {
        constexpr int N = decltype(number)::value;
        Vec<T> sums[N] = {};
        pixels<T, N>(line + j * step, kernel + b, k, row, column, step, c, sums);
        for (int n = 0; n < N; ++n) {
          T* p = to + (j + n) * channels;
          if (live == lanes) { at(p) = add ? load(p) + sums[n] : sums[n]; continue; }
          for (int64_t l = 0; l < live; ++l) p[l] = add ? p[l] + sums[n][l] : sums[n][l];
        }
      };
      int64_t j = 0;
      for (; j + 8 <= width; j += 8) run(std::integral_constant<int, 8>(), j);
      for (; j + 4 <= width; j += 4) run(std::integral_constant<int, 4>(), j);
      for (; j < width; ++j) run(std::integral_constant<int, 1>(), j);
    }
}

template <typename T>
const T* kernel_of(const T* kernel, int64_t k, int64_t channels, bool turned) {
  int64_t c = whole<T>(channels);
  T* out = scratch<T>(1, k * k * c);
  std::memset(out, 0, sizeof(T) * k * k * c);
  for (int64_t i = 0; i < k * k; ++i)
    std::memcpy(out + i * c, kernel + (turned ? k * k - 1 - i : i) * channels, sizeof(T) * channels);
  return out;
}

// x [X, B, H, W, C], kernel [X, R, k, k, C] -> y [X, R, B, H', W', C]
template <typename T>
void forward(ffi::ThreadPool& pool, const T* x, Dims xs, const T* kernel, Dims ks, T* y, Dims ys, int64_t stride,
             int64_t dilation) {
  int64_t X = xs[0], B = xs[1], R = ks[1], k = ks[2], c = xs[4], reach = dilation * (k - 1);
  Image s{xs[2], xs[3], c, reach / 2, reach / 2, 1, 1, xs[2] + reach, xs[3] + reach};
  parallel(pool, X * B, [&](int64_t task) {
    int64_t g = task / B, b = task % B;
    const T* padded = pad(x + task * xs[2] * xs[3] * c, s);
    for (int64_t r = 0; r < R; ++r) {
      const T* w = kernel_of(kernel + (g * R + r) * k * k * c, k, c, false);
      convolve(padded, s.padded_width, w, k, stride, dilation, ys[3], ys[4], c, false,
               y + ((g * R + r) * B + b) * ys[3] * ys[4] * c);
    }
  });
}

// g like y, kernel -> gradient of x, summed over R
template <typename T>
void to_x(ffi::ThreadPool& pool, const T* g, Dims gs, const T* kernel, Dims ks, T* x, Dims xs, int64_t stride,
          int64_t dilation) {
  int64_t X = xs[0], B = xs[1], R = ks[1], k = ks[2], c = xs[4], reach = dilation * (k - 1);
  Image s{gs[3], gs[4], c, reach / 2, reach / 2, stride, stride, xs[2] + reach + stride, xs[3] + reach + stride};
  parallel(pool, X * B, [&](int64_t task) {
    int64_t group = task / B, b = task % B;
    for (int64_t r = 0; r < R; ++r) {
      const T* padded = pad(g + ((group * R + r) * B + b) * gs[3] * gs[4] * c, s);
      const T* w = kernel_of(kernel + (group * R + r) * k * k * c, k, c, true);
      convolve(padded, s.padded_width, w, k, 1, dilation, xs[2], xs[3], c, r > 0, x + task * xs[2] * xs[3] * c);
    }
  });
}

template <typename T, int K>
void correlate(const T* in, int64_t padded_width, const T* g, int64_t stride, int64_t dilation, int64_t height,
               int64_t width, int64_t channels, T* out) {
  constexpr int lanes = Lanes<T>::count;
  int64_t c = whole<T>(channels), row = dilation * padded_width * c, column = dilation * c;
  for (int64_t b = 0; b < channels; b += lanes) {
    int64_t live = std::min<int64_t>(lanes, channels - b);
    Vec<T> sums[K * K] = {};
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j) {
        const T* p = in + (i * padded_width + j) * stride * c + b;
        Vec<T> gradient = {};
        if (live == lanes) gradient = load(g + (i * width + j) * channels + b);
        else for (int64_t l = 0; l < live; ++l) gradient[l] = g[(i * width + j) * channels + b + l];
#pragma GCC unroll 8
        for (int u = 0; u < K; ++u)
#pragma GCC unroll 8
          for (int v = 0; v < K; ++v) sums[u * K + v] += load(p + u * row + v * column) * gradient;
      }
    for (int i = 0; i < K * K; ++i)
      for (int64_t l = 0; l < live; ++l) out[i * channels + b + l] = sums[i][l];
  }
}

// x, g like y -> gradient of the kernel
template <typename T>
void to_kernel(ffi::ThreadPool& pool, const T* x, Dims xs, const T* g, Dims gs, T* kernel, Dims ks, int64_t stride,
               int64_t dilation) {
  int64_t X = xs[0], B = xs[1], R = ks[1], k = ks[2], c = xs[4], reach = dilation * (k - 1), size = R * k * k * c;
  Image s{xs[2], xs[3], c, reach / 2, reach / 2, 1, 1, xs[2] + reach, xs[3] + reach};
  std::vector<T> parts(X * B * size);
  parallel(pool, X * B, [&](int64_t task) {
    int64_t group = task / B, b = task % B;
    const T* padded = pad(x + task * xs[2] * xs[3] * c, s);
    for (int64_t r = 0; r < R; ++r) {
      const T* gradient = g + ((group * R + r) * B + b) * gs[3] * gs[4] * c;
      T* out = parts.data() + task * size + r * k * k * c;
      auto run = [&](auto number) {
        correlate<T, decltype(number)::value>(padded, s.padded_width, gradient, stride, dilation, gs[3], gs[4], c, out);
      };
      switch (k) {
        case 1: run(std::integral_constant<int, 1>()); break;
        case 3: run(std::integral_constant<int, 3>()); break;
        case 5: run(std::integral_constant<int, 5>()); break;
        case 7: run(std::integral_constant<int, 7>()); break;
        default:  // any other size, one position of the window after the other
          for (int64_t i = 0; i < k * k; ++i)
            correlate<T, 1>(padded + (i / k * s.padded_width + i % k) * dilation * whole<T>(c), s.padded_width, gradient,
                            stride, dilation, gs[3], gs[4], c, out + i * c);
      }
    }
  });
  for (int64_t group = 0; group < X; ++group)
    for (int64_t b = 0; b < B; ++b)
      for (int64_t i = 0; i < size; ++i) {
        T& total = kernel[group * size + i];
        T part = parts[(group * B + b) * size + i];
        total = b ? total + part : part;
      }
}

// Dense convolution: images x [X, B, H, W, C], kernels [X, R, kh, kw, C, D], outputs y [X, R, B, H', W', D].

struct Conv {
  int64_t X, R, B, H, W, C, D, kh, kw, oh, ow, stride_h, stride_w, pad_h, pad_w, dilation;
  int64_t x_size() const { return H * W * C; }
  int64_t y_size() const { return oh * ow * D; }
};

// Every output pixel of an image times all columns of w [kh, kw, C, columns]; store(pixel, first column, vector).
template <typename T, int N, int M, typename Store>
void dense_block(const T* in, int64_t step, int64_t row, int64_t column, int64_t kh, int64_t kw, int64_t C, const T* w,
                 int64_t columns, int64_t pixel, int64_t first, const Store& store) {
  constexpr int lanes = Lanes<T>::count;
  Vec<T> sums[N][M] = {};
  for (int64_t u = 0; u < kh; ++u)
    for (int64_t v = 0; v < kw; ++v) {
      const T *a = in + u * row + v * column, *b = w + (u * kw + v) * C * columns + first;
      for (int64_t c = 0; c < C; ++c, b += columns) {
        Vec<T> weights[M];
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) weights[m] = load(b + m * lanes);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
          for (int m = 0; m < M; ++m) sums[n][m] += a[n * step + c] * weights[m];
      }
    }
  for (int n = 0; n < N; ++n)
    for (int m = 0; m < M; ++m) store(pixel + n, first + m * lanes, sums[n][m]);
}

template <typename T, typename Store>
void dense(const T* in, int64_t padded_width, int64_t c, int64_t C, const T* w, int64_t columns, int64_t kh, int64_t kw,
           int64_t stride_h, int64_t stride_w, int64_t dilation, int64_t oh, int64_t ow, const Store& store) {
  constexpr int lanes = Lanes<T>::count;
  int64_t row = dilation * padded_width * c, column = dilation * c, step = stride_w * c;
  auto pixels = [&](auto number, int64_t i, int64_t j) {
    constexpr int N = decltype(number)::value;
    const T* at = in + (i * stride_h * padded_width + j * stride_w) * c;
    int64_t b = 0;
    for (; b + 3 * lanes <= columns; b += 3 * lanes)
      dense_block<T, N, 3>(at, step, row, column, kh, kw, C, w, columns, i * ow + j, b, store);
    for (; b + 2 * lanes <= columns; b += 2 * lanes)
      dense_block<T, N, 2>(at, step, row, column, kh, kw, C, w, columns, i * ow + j, b, store);
    for (; b < columns; b += lanes)
      dense_block<T, N, 1>(at, step, row, column, kh, kw, C, w, columns, i * ow + j, b, store);
  };
  for (int64_t i = 0; i < oh; ++i) {
    int64_t j = 0;
    for (; j + 8 <= ow; j += 8) pixels(std::integral_constant<int, 8>(), i, j);
    for (; j + 4 <= ow; j += 4) pixels(std::integral_constant<int, 4>(), i, j);
    for (; j < ow; ++j) pixels(std::integral_constant<int, 1>(), i, j);
  }
}

template <typename T>
void put(T* to, const Vec<T>& value, int64_t live, bool add) {
  if (live >= Lanes<T>::count) { at(to) = add ? load(to) + value : value; return; }
  for (int64_t l = 0; l < live; ++l) to[l] = add ? to[l] + value[l] : value[l];
}

template <typename T>
void conv_forward(ffi::ThreadPool& pool, const Conv& s, const T* x, const T* kernel, T* y) {
  int64_t d = whole<T>(s.D), columns = s.R * d, rows = s.kh * s.kw * s.C;
  std::vector<T> wide(s.X * rows * columns);  // [X, kh, kw, C, R * d]: the kernels of one image side by side
  for (int64_t g = 0; g < s.X; ++g)
    for (int64_t r = 0; r < s.R; ++r)
      for (int64_t i = 0; i < rows; ++i)
        std::memcpy(&wide[(g * rows + i) * columns + r * d], kernel + ((g * s.R + r) * rows + i) * s.D, sizeof(T) * s.D);
  Image image{s.H, s.W, s.C, s.pad_h, s.pad_w, 1, 1, (s.oh - 1) * s.stride_h + (s.kh - 1) * s.dilation + 1,
              (s.ow - 1) * s.stride_w + (s.kw - 1) * s.dilation + 1};
  parallel(pool, s.X * s.B, [&](int64_t task) {
    int64_t g = task / s.B, b = task % s.B;
    const T* padded = pad(x + task * s.x_size(), image);
    dense(padded, image.padded_width, whole<T>(s.C), s.C, wide.data() + g * rows * columns, columns, s.kh, s.kw,
          s.stride_h, s.stride_w, s.dilation, s.oh, s.ow, [&](int64_t pixel, int64_t column, const Vec<T>& value) {
            int64_t r = column / d, first = column % d;
            put(y + ((g * s.R + r) * s.B + b) * s.y_size() + pixel * s.D + first, value, s.D - first, false);
          });
  });
}

template <typename T>
void conv_to_x(ffi::ThreadPool& pool, const Conv& s, const T* g, const T* kernel, T* x) {
  int64_t c = whole<T>(s.C), rows = s.kh * s.kw * s.D, window = s.kh * s.kw;
  std::vector<T> turned(s.X * s.R * rows * c);  // [X, R, kh, kw, D, c], turned by 180 degrees
  for (int64_t g = 0; g < s.X * s.R; ++g)
    for (int64_t k = 0; k < window; ++k)
      for (int64_t i = 0; i < s.C; ++i)
        for (int64_t j = 0; j < s.D; ++j)
          turned[((g * window + k) * s.D + j) * c + i] = kernel[((g * window + window - 1 - k) * s.C + i) * s.D + j];
  int64_t reach_h = (s.kh - 1) * s.dilation, reach_w = (s.kw - 1) * s.dilation;
  Image image{s.oh, s.ow, s.D, reach_h - s.pad_h, reach_w - s.pad_w, s.stride_h, s.stride_w, s.H + reach_h, s.W + reach_w};
  parallel(pool, s.X * s.B, [&](int64_t task) {
    int64_t group = task / s.B, b = task % s.B;
    for (int64_t r = 0; r < s.R; ++r) {
      const T* padded = pad(g + ((group * s.R + r) * s.B + b) * s.y_size(), image);
      dense(padded, image.padded_width, whole<T>(s.D), s.D, turned.data() + (group * s.R + r) * rows * c, c, s.kh, s.kw,
            1, 1, s.dilation, s.H, s.W, [&](int64_t pixel, int64_t column, const Vec<T>& value) {
              put(x + task * s.x_size() + pixel * s.C + column, value, s.C - column, r > 0);
            });
    }
  });
}

// out [C, d] += over a row of pixels: a [C] (outer) g [d]
template <typename T, int N, int M>
void outer_block(const T* a, int64_t step, const T* g, int64_t d, int64_t pixels, T* out) {
  constexpr int lanes = Lanes<T>::count;
  Vec<T> sums[N][M];
  for (int n = 0; n < N; ++n)
    for (int m = 0; m < M; ++m) sums[n][m] = load(out + n * d + m * lanes);
  for (int64_t p = 0; p < pixels; ++p, a += step, g += d) {
    Vec<T> gradient[M];
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) gradient[m] = load(g + m * lanes);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) sums[n][m] += a[n] * gradient[m];
  }
  for (int n = 0; n < N; ++n)
    for (int m = 0; m < M; ++m) at(out + n * d + m * lanes) = sums[n][m];
}

template <typename T>
void conv_to_kernel(ffi::ThreadPool& pool, const Conv& s, const T* x, const T* g, T* kernel) {
  constexpr int lanes = Lanes<T>::count;
  int64_t c = whole<T>(s.C), d = whole<T>(s.D), window = s.kh * s.kw, size = s.R * window * s.C * d;
  int64_t parts = std::min<int64_t>(s.B, 16);  // partial sums, over a fixed set of images each
  std::vector<T> sums(s.X * parts * size);
  Image image{s.H, s.W, s.C, s.pad_h, s.pad_w, 1, 1, (s.oh - 1) * s.stride_h + (s.kh - 1) * s.dilation + 1,
              (s.ow - 1) * s.stride_w + (s.kw - 1) * s.dilation + 1};
  Image gradient{s.oh, s.ow, s.D, 0, 0, 1, 1, s.oh, s.ow};
  parallel(pool, s.X * parts, [&](int64_t task) {
    int64_t group = task / parts, part = task % parts;
    for (int64_t b = part; b < s.B; b += parts) {
      const T* padded = pad(x + (group * s.B + b) * s.x_size(), image);
      for (int64_t r = 0; r < s.R; ++r) {
        const T* from = g + ((group * s.R + r) * s.B + b) * s.y_size();
        const T* rows = d == s.D ? from : pad(from, gradient, 2);
        for (int64_t i = 0; i < s.oh; ++i)
          for (int64_t k = 0; k < window; ++k) {
            int64_t top = i * s.stride_h + k / s.kw * s.dilation, left = k % s.kw * s.dilation;
            const T* a = padded + (top * image.padded_width + left) * c;
            T* out = sums.data() + task * size + (r * window + k) * s.C * d;
            auto block = [&](auto n, auto m, int64_t i0, int64_t j0) {
              outer_block<T, decltype(n)::value, decltype(m)::value>(a + i0, s.stride_w * c, rows + i * s.ow * d + j0, d,
                                                                    s.ow, out + i0 * d + j0);
            };
            auto columns = [&](auto n, int64_t i0) {
              int64_t j = 0;
              for (; j + 2 * lanes <= d; j += 2 * lanes) block(n, std::integral_constant<int, 2>(), i0, j);
              for (; j < d; j += lanes) block(n, std::integral_constant<int, 1>(), i0, j);
            };
            int64_t n = 0;
            for (; n + 8 <= s.C; n += 8) columns(std::integral_constant<int, 8>(), n);
            for (; n < s.C; ++n) columns(std::integral_constant<int, 1>(), n);
          }
      }
    }
  });
  for (int64_t group = 0; group < s.X; ++group)
    for (int64_t i = 0; i < size / d; ++i)
      for (int64_t j = 0; j < s.D; ++j) {
        T total = 0;
        for (int64_t part = 0; part < parts; ++part) total += sums[(group * parts + part) * size + i * d + j];
        kernel[(group * size / d + i) * s.D + j] = total;
      }
}

// Batch norm. x [..., B, H, W, C] is G groups of P pixels; sums go over pieces of fixed size, whatever the threads do.

struct Pieces {
  int64_t groups, pixels, channels, rows, count;  // rows: pixels of a piece; count: pieces of a group
  Pieces(Dims shape, int64_t axes) : groups(1), pixels(1), channels(shape[shape.size() - 1]) {
    for (size_t i = 0; i + 1 < shape.size(); ++i) (i + axes < shape.size() ? groups : pixels) *= shape[i];
    rows = std::max<int64_t>(1, 8192 / channels);
    count = (pixels + rows - 1) / rows;
  }
  // body(group, piece, first element, number of pixels)
  template <typename Body>
  void each(ffi::ThreadPool& pool, const Body& body) const {
    parallel(pool, groups * count, [&](int64_t task) {
      int64_t group = task / count, piece = task % count, first = piece * rows;
      body(group, piece, (group * pixels + first) * channels, std::min(rows, pixels - first));
    });
  }
};

// For each channel the sum over rows of term(element index), with four running sums to hide the adder's latency.
template <typename T, typename Term, typename Scalar>
void sum_rows(int64_t rows, int64_t channels, T* out, const Term& term, const Scalar& scalar) {
  constexpr int lanes = Lanes<T>::count;
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    Vec<T> sums[4] = {};
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4)
      for (int n = 0; n < 4; ++n) sums[n] += term((i + n) * channels + c, c);
    for (; i < rows; ++i) sums[0] += term(i * channels + c, c);
    at(out + c) = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
  for (; c < channels; ++c) {
    T sum = 0;
    for (int64_t i = 0; i < rows; ++i) sum += scalar(i * channels + c, c);
    out[c] = sum;
  }
}

template <typename T, typename Value, typename Scalar>
void fill_rows(int64_t rows, int64_t channels, T* out, const Value& value, const Scalar& scalar) {
  constexpr int lanes = Lanes<T>::count;
  for (int64_t i = 0; i < rows; ++i, out += channels) {
    int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) at(out + c) = value(i * channels + c, c);
    for (; c < channels; ++c) out[c] = scalar(i * channels + c, c);
  }
}

// One expression for vectors and for single numbers: of element i of a piece, of channel c, with at(pointer, index).
#define BOTH(expression)                                                                       \
  [&](int64_t i, int64_t c) -> Vec<T> { auto at = [](auto* p, int64_t k) { return load(p + k); }; return expression; }, \
  [&](int64_t i, int64_t c) -> T { auto at = [](auto* p, int64_t k) { return p[k]; }; return expression; }

// x -> y, mean, variance, 1 / deviation
template <typename T>
void normalise(ffi::ThreadPool& pool, Dims shape, const T* x, T* y, T* mean, T* variance, T* inverse, double epsilon) {
  Pieces p(shape, 4);
  int64_t C = p.channels;
  std::vector<T> parts(p.groups * p.count * 2 * C);  // of every piece its mean and its squared deviations from it
  p.each(pool, [&](int64_t group, int64_t piece, int64_t first, int64_t rows) {
    T *m = parts.data() + (group * p.count + piece) * 2 * C, *squares = m + C;
    const T* from = x + first;
    sum_rows<T>(rows, C, m, BOTH(at(from, i)));
    for (int64_t c = 0; c < C; ++c) m[c] /= rows;
    sum_rows<T>(rows, C, squares, BOTH((at(from, i) - at(m, c)) * (at(from, i) - at(m, c))));
  });
  for (int64_t group = 0; group < p.groups; ++group)
    for (int64_t c = 0; c < C; ++c) {  // Chan, Golub and LeVeque 1979
      double m = 0, squares = 0, seen = 0;
      for (int64_t piece = 0; piece < p.count; ++piece) {
        double rows = std::min(p.rows, p.pixels - piece * p.rows), total = seen + rows;
        const T* part = parts.data() + (group * p.count + piece) * 2 * C;
        double step = part[c] - m;
        squares += part[C + c] + step * step * seen * rows / total;
        m += step * rows / total;
        seen = total;
      }
      mean[group * C + c] = m;
      variance[group * C + c] = squares / seen;
      inverse[group * C + c] = 1 / std::sqrt(squares / seen + epsilon);
    }
  p.each(pool, [&](int64_t group, int64_t, int64_t first, int64_t rows) {
    const T *from = x + first, *m = mean + group * C, *r = inverse + group * C;
    fill_rows<T>(rows, C, y + first, BOTH((at(from, i) - at(m, c)) * at(r, c)));
  });
}

// y, 1 / deviation, g -> (g - mean(g) - y mean(g y)) / deviation
template <typename T>
void whiten(ffi::ThreadPool& pool, Dims shape, const T* y, const T* inverse, const T* g, T* out) {
  Pieces p(shape, 4);
  int64_t C = p.channels;
  std::vector<T> parts(p.groups * p.count * 2 * C), means(p.groups * 2 * C);
  p.each(pool, [&](int64_t group, int64_t piece, int64_t first, int64_t rows) {
    T* part = parts.data() + (group * p.count + piece) * 2 * C;
    const T *a = g + first, *b = y + first;
    sum_rows<T>(rows, C, part, BOTH(at(a, i)));
    sum_rows<T>(rows, C, part + C, BOTH(at(a, i) * at(b, i)));
  });
  for (int64_t group = 0; group < p.groups; ++group)
    for (int64_t c = 0; c < 2 * C; ++c) {
      double sum = 0;
      for (int64_t piece = 0; piece < p.count; ++piece) sum += parts[(group * p.count + piece) * 2 * C + c];
      means[group * 2 * C + c] = sum / p.pixels;
    }
  p.each(pool, [&](int64_t group, int64_t, int64_t first, int64_t rows) {
    const T *a = g + first, *b = y + first, *m = means.data() + group * 2 * C, *q = m + C, *r = inverse + group * C;
    fill_rows<T>(rows, C, out + first, BOTH((at(a, i) - at(m, c) - at(b, i) * at(q, c)) * at(r, c)));
  });
}

// Weighted sums. weights [E, O]; value o is [E, ...] or, the same for all edges, [...]; out and g [E, ...].

constexpr int64_t kPiece = 4096;

template <typename Body>
void pieces(ffi::ThreadPool& pool, int64_t size, const Body& body) {
  parallel(pool, (size + kPiece - 1) / kPiece, [&](int64_t i) { body(i, i * kPiece, std::min(kPiece, size - i * kPiece)); });
}

template <typename T>
void mix(ffi::ThreadPool& pool, const T* weights, const std::vector<const T*>& values, bool shared, int64_t E,
         int64_t size, T* out) {
  int64_t O = values.size();
  pieces(pool, size, [&](int64_t, int64_t first, int64_t n) {
    for (int64_t e = 0; e < E; ++e) {
      T* to = out + e * size + first;
      for (int64_t o = 0; o < O; ++o) {
        const T* from = values[o] + (shared ? 0 : e * size) + first;
        T weight = weights[e * O + o];
        if (o) for (int64_t i = 0; i < n; ++i) to[i] += weight * from[i];
        else for (int64_t i = 0; i < n; ++i) to[i] = weight * from[i];
      }
    }
  });
}

// <g[e], value o> -> [E, O]
template <typename T>
void mix_to_weights(ffi::ThreadPool& pool, const T* g, const std::vector<const T*>& values, bool shared, int64_t E,
                    int64_t size, T* out) {
  int64_t O = values.size(), count = (size + kPiece - 1) / kPiece;
  std::vector<double> parts(count * E * O);
  pieces(pool, size, [&](int64_t piece, int64_t first, int64_t n) {
    for (int64_t e = 0; e < E; ++e)
      for (int64_t o = 0; o < O; ++o) {
        const T *a = g + e * size + first, *b = values[o] + (shared ? 0 : e * size) + first;
        constexpr int lanes = Lanes<T>::count;
        Vec<T> sums[4] = {};
        int64_t i = 0;
        for (; i + 4 * lanes <= n; i += 4 * lanes)
          for (int k = 0; k < 4; ++k) sums[k] += load(a + i + k * lanes) * load(b + i + k * lanes);
        double sum = 0;
        for (; i < n; ++i) sum += a[i] * b[i];
        for (int k = 0; k < 4; ++k)
          for (int l = 0; l < lanes; ++l) sum += sums[k][l];
        parts[(piece * E + e) * O + o] = sum;
      }
  });
  for (int64_t i = 0; i < E * O; ++i) {
    double sum = 0;
    for (int64_t piece = 0; piece < count; ++piece) sum += parts[piece * E * O + i];
    out[i] = sum;
  }
}

// weights[e, o] g[e] -> each value's gradient, summed over the edges where it is shared
template <typename T>
void mix_to_values(ffi::ThreadPool& pool, const T* weights, const T* g, const std::vector<T*>& outs, bool shared,
                   int64_t E, int64_t size) {
  int64_t O = outs.size();
  pieces(pool, size, [&](int64_t, int64_t first, int64_t n) {
    for (int64_t e = 0; e < E; ++e)
      for (int64_t o = 0; o < O; ++o) {
        T *to = outs[o] + (shared ? 0 : e * size) + first, weight = weights[e * O + o];
        const T* from = g + e * size + first;
        if (shared && e) for (int64_t i = 0; i < n; ++i) to[i] += weight * from[i];
        else for (int64_t i = 0; i < n; ++i) to[i] = weight * from[i];
      }
  });
}

// The border to XLA.

template <typename Product>
ffi::Error dispatch(const ffi::AnyBuffer& a, const Product& product) {
  switch (a.element_type()) {
    case ffi::F32: product(float()); return ffi::Error::Success();
    case ffi::F64: product(double()); return ffi::Error::Success();
    default: return ffi::Error::InvalidArgument("expected float32 or float64");
  }
}

#define HANDLER(name, function)                                                                              \
  ffi::Error name##_call(ffi::ThreadPool pool, ffi::AnyBuffer a, ffi::AnyBuffer b, ffi::Result<ffi::AnyBuffer> out, \
                         Dims stride, Dims, int64_t dilation) {                                               \
    return dispatch(a, [&](auto zero) {                                                                       \
      using T = decltype(zero);                                                                               \
      function<T>(pool, static_cast<const T*>(a.untyped_data()), a.dimensions(),                              \
                  static_cast<const T*>(b.untyped_data()), b.dimensions(),                                    \
                  static_cast<T*>(out->untyped_data()), out->dimensions(), stride[0], dilation);                 \
    });                                                                                                       \
  }

HANDLER(forward, forward)
HANDLER(to_x, to_x)
HANDLER(to_kernel, to_kernel)

template <typename T> const T* data(const ffi::AnyBuffer& a) { return static_cast<const T*>(a.untyped_data()); }
template <typename T> T* data(ffi::Result<ffi::AnyBuffer>& a) { return static_cast<T*>(a->untyped_data()); }
template <typename T> std::vector<const T*> data(ffi::RemainingArgs args) {
  std::vector<const T*> out;
  for (size_t i = 0; i < args.size(); ++i) out.push_back(data<T>(*args.get<ffi::AnyBuffer>(i)));
  return out;
}
using Buffer = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

Conv conv_of(Dims x, Dims kernel, Dims y, Dims stride, Dims padding, int64_t dilation) {
  return {x[0], kernel[1], x[1], x[2], x[3], x[4], kernel[5], kernel[2], kernel[3], y[3], y[4],
          stride[0], stride[1], padding[0], padding[1], dilation};
}

ffi::Error conv_forward_call(ffi::ThreadPool pool, Buffer x, Buffer kernel, Out y, Dims stride, Dims padding, int64_t dilation) {
  return dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    Conv s = conv_of(x.dimensions(), kernel.dimensions(), y->dimensions(), stride, padding, dilation);
    conv_forward<T>(pool, s, data<T>(x), data<T>(kernel), data<T>(y));
  });
}

ffi::Error conv_to_x_call(ffi::ThreadPool pool, Buffer g, Buffer kernel, Out x, Dims stride, Dims padding, int64_t dilation) {
  return dispatch(g, [&](auto zero) {
    using T = decltype(zero);
    Conv s = conv_of(x->dimensions(), kernel.dimensions(), g.dimensions(), stride, padding, dilation);
    conv_to_x<T>(pool, s, data<T>(g), data<T>(kernel), data<T>(x));
  });
}

ffi::Error conv_to_kernel_call(ffi::ThreadPool pool, Buffer x, Buffer g, Out kernel, Dims stride, Dims padding, int64_t dilation) {
  return dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    Conv s = conv_of(x.dimensions(), kernel->dimensions(), g.dimensions(), stride, padding, dilation);
    conv_to_kernel<T>(pool, s, data<T>(x), data<T>(g), data<T>(kernel));
  });
}

ffi::Error normalise_call(ffi::ThreadPool pool, Buffer x, Out y, Out mean, Out variance, Out inverse, double epsilon) {
  return dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    normalise<T>(pool, x.dimensions(), data<T>(x), data<T>(y), data<T>(mean), data<T>(variance), data<T>(inverse), epsilon);
  });
}

ffi::Error whiten_call(ffi::ThreadPool pool, Buffer y, Buffer inverse, Buffer g, Out out) {
  return dispatch(y, [&](auto zero) {
    using T = decltype(zero);
    whiten<T>(pool, y.dimensions(), data<T>(y), data<T>(inverse), data<T>(g), data<T>(out));
  });
}

ffi::Error mix_call(ffi::ThreadPool pool, Buffer weights, ffi::RemainingArgs values, Out out, int64_t shared) {
  return dispatch(weights, [&](auto zero) {
    using T = decltype(zero);
    int64_t E = weights.dimensions()[0];
    mix<T>(pool, data<T>(weights), data<T>(values), shared, E, out->element_count() / E, data<T>(out));
  });
}

ffi::Error mix_to_weights_call(ffi::ThreadPool pool, Buffer g, ffi::RemainingArgs values, Out out, int64_t shared) {
  return dispatch(g, [&](auto zero) {
    using T = decltype(zero);
    int64_t E = g.dimensions()[0];
    mix_to_weights<T>(pool, data<T>(g), data<T>(values), shared, E, g.element_count() / E, data<T>(out));
  });
}

ffi::Error mix_to_values_call(ffi::ThreadPool pool, Buffer weights, Buffer g, ffi::RemainingRets outs, int64_t shared) {
  return dispatch(g, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T*> to;
    for (size_t i = 0; i < outs.size(); ++i) to.push_back(static_cast<T*>((*outs.get<ffi::AnyBuffer>(i))->untyped_data()));
    int64_t E = g.dimensions()[0];
    mix_to_values<T>(pool, data<T>(weights), data<T>(g), to, shared, E, g.element_count() / E);
  });
}

}  // namespace

#define BIND ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
#define CONV BIND.Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Attr<Dims>("stride").Attr<Dims>("padding").Attr<int64_t>("dilation")
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_depthwise_forward, forward_call, CONV);
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_depthwise_to_x, to_x_call, CONV);
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_depthwise_to_kernel, to_kernel_call, CONV);
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_conv_forward, conv_forward_call, CONV);
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_conv_to_x, conv_to_x_call, CONV);
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_conv_to_kernel, conv_to_kernel_call, CONV);
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_norm_forward, normalise_call,
                              BIND.Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Attr<double>("epsilon"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_norm_backward, whiten_call, BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mix_forward, mix_call, BIND.Arg<Buffer>().RemainingArgs().Ret<Buffer>().Attr<int64_t>("shared"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mix_to_weights, mix_to_weights_call,
                              BIND.Arg<Buffer>().RemainingArgs().Ret<Buffer>().Attr<int64_t>("shared"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mix_to_values, mix_to_values_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().RemainingRets().Attr<int64_t>("shared"));
