// What XLA does slowly on the CPU, as custom calls: convolutions (conv.py), batch norm (norm.py), max pooling (pooling.py)
// and the weighted sums of a mixed operation (mixing.py). Images are [..., H, W, C], channels innermost and in vectors.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

using Dims = ffi::Span<const int64_t>;

struct Progress { std::atomic<int64_t> next{0}, done{0}; };

// A function of its own: inlined twice, the two copies would fuse other products and sums, and a result would depend on
// which thread took which task.
template <typename Body>
[[gnu::noinline, gnu::noclone]] void take(Progress& progress, int64_t tasks, const Body& body) {
  for (int64_t task; (task = progress.next.fetch_add(1)) < tasks; progress.done.fetch_add(1)) body(task);
}

// Run body(task) for all tasks on the pool; the calling thread takes part, so that it never waits for an idle pool.
template <typename Body>
void parallel(ffi::ThreadPool& pool, int64_t tasks, const Body& body) {
  auto shared = std::make_shared<Progress>();
  auto work = [shared, tasks, &body] { take(*shared, tasks, body); };
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

// The first `live` lanes of a vector: the others are read as zeros and not written.
#ifdef __AVX512F__
inline Vec<float> load_part(const float* p, int64_t live) {
  return (Vec<float>)_mm512_maskz_loadu_ps((1u << live) - 1, p);
}
inline Vec<double> load_part(const double* p, int64_t live) {
  return (Vec<double>)_mm512_maskz_loadu_pd((1u << live) - 1, p);
}
inline void store_part(float* p, const Vec<float>& value, int64_t live) {
  _mm512_mask_storeu_ps(p, (1u << live) - 1, (__m512)value);
}
inline void store_part(double* p, const Vec<double>& value, int64_t live) {
  _mm512_mask_storeu_pd(p, (1u << live) - 1, (__m512d)value);
}
#else
template <typename T> Vec<T> load_part(const T* p, int64_t live) {
  if (live == Lanes<T>::count) return load(p);
  Vec<T> value = {};
  for (int64_t l = 0; l < live; ++l) value[l] = p[l];
  return value;
}
template <typename T> void store_part(T* p, const Vec<T>& value, int64_t live) {
  if (live == Lanes<T>::count) { at(p) = value; return; }
  for (int64_t l = 0; l < live; ++l) p[l] = value[l];
}
#endif

// body(first channel, number of channels) for each vector of channels.
template <typename T, typename Body>
void vectors(int64_t channels, const Body& body) {
  constexpr int lanes = Lanes<T>::count;
  for (int64_t c = 0; c < channels; c += lanes) body(c, std::min<int64_t>(lanes, channels - c));
}

// Memory that a thread keeps from call to call: what malloc would search long lists for, a tenth of some steps. Numbers 0
// and 1 are of a task, the others of a call, whose tasks may all write there.
enum { kPadded, kKernel, kParts, kSums, kFactors, kOffsets, kMoments, kMany };
template <typename T> T* scratch(int which, int64_t size) {
  thread_local std::vector<T> buffers[kMany];
  if (static_cast<int64_t>(buffers[which].size()) < size) buffers[which] = std::vector<T>(size);
  return buffers[which].data();
}
template <typename T> T* zeros(int which, int64_t size) {
  T* found = scratch<T>(which, size);
  std::memset(found, 0, sizeof(T) * size);
  return found;
}

// Ask for memory that is read soon, in an order in which the processor does not foresee it.
template <typename T> void fetch(const T* from, int64_t size) {
  for (int64_t i = 0; i < size; i += 64 / sizeof(T)) __builtin_prefetch(from + i, 0, 2);
}

// The activations that norms compute, in the order of norm.py.
enum Activation : int64_t { kLinear, kRelu, kRelu6, kHardSwish, kActivations };
// NaN stays what it is.
template <typename T, Activation kOf> Vec<T> activated(const Vec<T>& value) {
  const Vec<T> zero = {}, six = zero + 6;
  auto clipped = [&](const Vec<T>& v) { return v <= zero ? zero : v >= six ? six : v; };
  if constexpr (kOf == kRelu) return value <= zero ? zero : value;
  if constexpr (kOf == kRelu6) return clipped(value);
  if constexpr (kOf == kHardSwish) return value * clipped(value + 3) * static_cast<T>(1.0 / 6);
  return value;
}
// The gradient that an activation of a value lets through.
template <typename T, Activation kOf> Vec<T> passed(const Vec<T>& g, const Vec<T>& value) {
  const Vec<T> zero = {};
  if constexpr (kOf == kRelu) return value > zero ? g : zero;
  if constexpr (kOf == kRelu6) return (value > zero) & (value < zero + 6) ? g : zero;
  if constexpr (kOf == kHardSwish)
    return value <= zero - 3 ? zero : value >= zero + 3 ? g : g * (value * static_cast<T>(1.0 / 3) + static_cast<T>(0.5));
  return g;
}
// use(which activation), known when compiled
template <typename Use> void of_activation(int64_t which, const Use& use) {
  switch (which) {
    case kRelu: return use(std::integral_constant<Activation, kRelu>());
    case kRelu6: return use(std::integral_constant<Activation, kRelu6>());
    case kHardSwish: return use(std::integral_constant<Activation, kHardSwish>());
    default: return use(std::integral_constant<Activation, kLinear>());
  }
}

// How pixels are read: as they are, or as a norm and its activation leave them, that of (x - mean) * factor + offset.
template <typename T> struct Lens {
  const T *mean = nullptr, *factor = nullptr, *offset = nullptr;
  int64_t activation = kLinear;
  // use(function (first channel, live) -> function (value) -> value)
  template <typename Use> void with(const Use& use) const {
    if (!mean) return use([](int64_t, int64_t) { return [](const Vec<T>& value) { return value; }; });
    of_activation(activation, [&](auto which) {
      use([this](int64_t c, int64_t live) {
        const Vec<T> m = load_part(mean + c, live), f = load_part(factor + c, live), o = load_part(offset + c, live);
        return [=](const Vec<T>& value) { return activated<T, decltype(which)::value>((value - m) * f + o); };
      });
    });
  }
};

struct Image {  // one image and where it lies in a padded copy, whose pixels are `pitch` numbers apart
  int64_t height, width, channels, pitch, top, left, spread_h, spread_w, padded_height, padded_width;
  bool whole() const {  // nothing is padded, and no column left out
    return !top && !left && spread_h == 1 && spread_w == 1 && padded_width == width && padded_height <= height;
  }
};

// Copy an image into zeros: pixel (i, j) goes to (top + i * spread_h, left + j * spread_w) if that is inside.
template <typename T, typename See>
void pad(const T* image, const Image& s, T* padded, bool plain, const See& see) {
  bool dense = s.spread_h == 1 && s.spread_w == 1;
  int64_t row_size = s.padded_width * s.pitch, first = std::max<int64_t>(s.left, 0);
  int64_t last = std::min(s.left + s.width, s.padded_width);
  if (!dense) std::memset(padded, 0, sizeof(T) * s.padded_height * row_size);
  for (int64_t to = 0; dense && to < s.padded_height; ++to) {  // the border only
    bool empty = to < s.top || to >= s.top + s.height || last <= first;
    T* row = padded + to * row_size;
    std::memset(row, 0, sizeof(T) * (empty ? row_size : first * s.pitch));
    if (!empty) std::memset(row + last * s.pitch, 0, sizeof(T) * (s.padded_width - last) * s.pitch);
  }
  for (int64_t i = 0; i < s.height; ++i) {
    int64_t to = s.top + i * s.spread_h;
    if (to < 0 || to >= s.padded_height) continue;
    T* row = padded + to * row_size;
    const T* from = image + i * s.width * s.channels;
    if (plain && dense && s.pitch == s.channels && first < last) {
      std::memcpy(row + first * s.pitch, from + (first - s.left) * s.channels, sizeof(T) * (last - first) * s.channels);
      continue;
    }
    int64_t begin = std::max<int64_t>(0, (s.spread_w - 1 - s.left) / s.spread_w);  // columns that are inside
    int64_t end = std::min(s.width, (s.padded_width - s.left + s.spread_w - 1) / s.spread_w);
    for (; begin < end; begin += 32) {  // pixels at a time, which stay in the cache for all channels
      int64_t count = std::min<int64_t>(32, end - begin);
      fetch(from + (begin + count) * s.channels, count * s.channels);
      vectors<T>(s.channels, [&](int64_t c, int64_t live) {
        const auto seen = see(c, live);
        const T* pixel = from + begin * s.channels + c;
        T* to = row + (s.left + begin * s.spread_w) * s.pitch + c;
        for (int64_t j = 0; j < count; ++j, pixel += s.channels, to += s.spread_w * s.pitch) {
          Vec<T> value = seen(load_part(pixel, live));
          if (s.pitch == s.channels) store_part(to, value, live);
          else at(to) = value;
        }
      });
    }
  }
}

template <typename T>
void pad(const T* image, const Image& s, T* padded, const Lens<T>& lens = {}) {
  lens.with([&](const auto& see) { pad(image, s, padded, !lens.mean, see); });
}

template <typename T>
const T* padded(const T* image, const Image& s, const Lens<T>& lens = {}) {
  T* copy = scratch<T>(kPadded, s.padded_height * s.padded_width * s.pitch);
  pad(image, s, copy, lens);
  return copy;
}

// For each channel the sum over rows of term(element, channel, live); four running sums hide the adder's latency.
template <typename T, typename Term>
void sum_rows(int64_t rows, int64_t channels, T* out, const Term& term) {
  vectors<T>(channels, [&](int64_t c, int64_t live) {
    Vec<T> sums[4] = {};
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4)
      for (int n = 0; n < 4; ++n) sums[n] += term((i + n) * channels + c, c, live);
    for (; i < rows; ++i) sums[0] += term(i * channels + c, c, live);
    store_part(out + c, (sums[0] + sums[1]) + (sums[2] + sums[3]), live);
  });
}

// Two such sums, of terms (element, channel, live, &first, &second).
template <typename T, typename Terms>
void sum_rows_twice(int64_t rows, int64_t channels, T* out, const Terms& terms) {
  vectors<T>(channels, [&](int64_t c, int64_t live) {
    Vec<T> sums[2][4] = {};
    auto add = [&](int64_t i, int n) {
      Vec<T> first, second;
      terms(i * channels + c, c, live, first, second);
      sums[0][n] += first, sums[1][n] += second;
    };
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4)
      for (int n = 0; n < 4; ++n) add(i + n, n);
    for (; i < rows; ++i) add(i, 0);
    for (int k = 0; k < 2; ++k)
      store_part(out + k * channels + c, (sums[k][0] + sums[k][1]) + (sums[k][2] + sums[k][3]), live);
  });
}

template <typename T, typename Value>
void fill_rows(int64_t rows, int64_t channels, T* out, const Value& value) {
  for (int64_t i = 0; i < rows; ++i)
    vectors<T>(channels, [&](int64_t c, int64_t live) {
      store_part(out + i * channels + c, value(i * channels + c, c, live), live);
    });
}

// An expression of element i of a piece, of channel c, with at(pointer, index).
#define ELEMENT(expression)                                            \
  [&](int64_t i, int64_t c, int64_t live) -> Vec<T> {                  \
    auto at = [live](auto* p, int64_t k) { return load_part(p + k, live); }; \
    return expression;                                                 \
  }

// Of one piece the mean and the squared deviations from it, [2, C]
template <typename T>
void piece_moments(const T* from, int64_t rows, int64_t C, T* m) {
  sum_rows<T>(rows, C, m, ELEMENT(at(from, i)));
  for (int64_t c = 0; c < C; ++c) m[c] /= rows;
  sum_rows<T>(rows, C, m + C, ELEMENT((at(from, i) - at(m, c)) * (at(from, i) - at(m, c))));
}

// Those of `count` pieces [2, C], of rows(piece) pixels each, as mean and variance (Chan, Golub and LeVeque 1979)
template <typename T, typename Rows>
void join_moments(int64_t count, int64_t C, const T* parts, T* mean, T* variance, const Rows& rows_of) {
  double *m = zeros<double>(kSums, 2 * C), *squares = m + C, seen = 0;
  for (int64_t piece = 0; piece < count; ++piece, parts += 2 * C) {
    double rows = rows_of(piece), share = rows / (seen + rows), both = seen * share;
    for (int64_t c = 0; c < C; ++c) {
      double step = parts[c] - m[c];
      squares[c] += parts[C + c] + step * step * both;
      m[c] += step * share;
    }
    seen += rows;
  }
  for (int64_t c = 0; c < C; ++c) mean[c] = m[c], variance[c] = squares[c] / seen;
}

// The moments of what a convolution writes, taken of each of its tasks' `pixels` in pieces, while the cache has them.
template <typename T> struct Moments {
  int64_t tasks, pixels, channels, rows, each;
  T* parts;
  Moments(int64_t tasks, int64_t pixels, int64_t channels)
      : tasks(tasks), pixels(pixels), channels(channels), rows(std::max<int64_t>(1, 8192 / channels)),
        each((pixels + rows - 1) / rows), parts(scratch<T>(kMoments, tasks * each * 2 * channels)) {}
  int64_t rows_of(int64_t piece) const { return std::min(rows, pixels - piece % each * rows); }
  void take(int64_t task, const T* y) const {
    for (int64_t i = task * each; i < (task + 1) * each; ++i)
      piece_moments(y + i % each * rows * channels, rows_of(i), channels, parts + i * 2 * channels);
  }
  void join(T* mean, T* variance) const {
    join_moments(tasks * each, channels, parts, mean, variance, [&](int64_t piece) { return rows_of(piece); });
  }
};

// What a convolution may do beside: read through a norm, and take the moments [C] of what it writes.
template <typename T> struct Beside {
  Lens<T> lens;
  T *mean = nullptr, *variance = nullptr;
};

// Images of a norm: x [..., B, H, W, C] is G groups of P pixels; sums go over pieces of fixed size, whatever the threads do.

struct Pieces {
  int64_t groups, pixels, channels, rows, count;  // rows: pixels of a piece; count: pieces of a group
  Pieces(Dims shape, int64_t axes) : groups(1), pixels(1), channels(shape[shape.size() - 1]) {
    for (size_t i = 0; i + 1 < shape.size(); ++i) (i + axes < shape.size() ? groups : pixels) *= shape[i];
    rows = std::max<int64_t>(1, 8192 / channels);
    count = (pixels + rows - 1) / rows;
  }
  // body(group, piece, first element, number of pixels). Sums come first and go backwards, so that both they and what
  // follows begin with what is in the cache still.
  template <typename Body>
  void each(ffi::ThreadPool& pool, bool backwards, const Body& body) const {
    parallel(pool, groups * count, [&](int64_t number) {
      int64_t task = backwards ? groups * count - 1 - number : number, group = task / count;
      int64_t piece = task % count, first = piece * rows;
      body(group, piece, (group * pixels + first) * channels, std::min(rows, pixels - first));
    });
  }
};

// A norm of x whose moments are known; factor: inverse * scale.
template <typename T> struct Norm {
  const T *x, *mean, *inverse, *factor, *bias;
  Norm of_group(int64_t group, int64_t C) const {
    return {x, mean + group * C, inverse + group * C, factor + group * C, bias + group * C};
  }
  // Of pixels from element `first` of x on, whose gradients begin at g: the sums of g, and of g times what x is normalised.
  template <Activation kOf> void sums(int64_t first, int64_t rows, int64_t C, const T* g, T* part) const {
    const T* from = x + first;
    fetch(from, rows * C), fetch(g, rows * C);
    sum_rows_twice<T>(rows, C, part, [&](int64_t i, int64_t c, int64_t live, Vec<T>& of_g, Vec<T>& product) {
      auto at = [live](auto* p, int64_t k) { return load_part(p + k, live); };
      const Vec<T> centred = at(from, i) - at(mean, c);
      of_g = passed<T, kOf>(at(g, i), centred * at(factor, c) + at(bias, c)), product = of_g * centred * at(inverse, c);
    });
  }
};

// The second pass of `project`; out may be g.
template <typename T, Activation kOf>
void project_by_sums(ffi::ThreadPool& pool, const Pieces& p, const Norm<T>& norm, const double* sums, const T* g, T* out,
                     T* of_scale, T* of_bias) {
  int64_t C = p.channels;
  T* means = scratch<T>(kOffsets, p.groups * 2 * C);
  for (int64_t i = 0; i < p.groups * 2 * C; ++i) {
    int64_t group = i / (2 * C), c = i % (2 * C);
    means[i] = sums[i] / p.pixels;
    (c < C ? of_bias : of_scale)[group * C + c % C] = sums[i];
  }
  p.each(pool, false, [&](int64_t group, int64_t, int64_t first, int64_t rows) {
    const Norm<T> own = norm.of_group(group, C);
    const T *a = g + first, *b = norm.x + first, *m = own.mean, *r = own.inverse, *f = own.factor, *o = own.bias;
    const T *of_g = means + group * 2 * C, *of_product = of_g + C;
    auto value = ELEMENT((passed<T, kOf>(at(a, i), (at(b, i) - at(m, c)) * at(f, c) + at(o, c)) - at(of_g, c) -
                          (at(b, i) - at(m, c)) * at(r, c) * at(of_product, c)) * at(f, c));
    fill_rows<T>(rows, C, out + first, value);
  });
}

// `project` behind a convolution that writes the gradient g: its sums of each task's `pixels`, while the cache has them;
// its second pass, in the same place, when all are there.
template <typename T> struct Projected {
  Pieces whole;
  Norm<T> norm;
  int64_t activation, tasks, pixels, rows, each;
  T *of_scale, *of_bias, *parts;
  Projected(Dims shape, const Norm<T>& norm, int64_t activation, T* of_scale, T* of_bias)
      : whole(shape, 4), norm(norm), activation(activation), of_scale(of_scale), of_bias(of_bias) {}
  void begin(int64_t count, int64_t of_each) {
    tasks = count, pixels = of_each, rows = whole.rows, each = (pixels + rows - 1) / rows;
    parts = scratch<T>(kMoments, tasks * each * 2 * whole.channels);
  }
  void take(int64_t task, const T* g) const {
    int64_t C = whole.channels;
    of_activation(activation, [&](auto which) {
      for (int64_t i = 0; i < each; ++i)
        norm.template sums<decltype(which)::value>((task * pixels + i * rows) * C, std::min(rows, pixels - i * rows), C,
                                                   g + i * rows * C, parts + (task * each + i) * 2 * C);
    });
  }
  void end(ffi::ThreadPool& pool, T* g) const {
    int64_t size = 2 * whole.channels;
    double* sums = zeros<double>(kSums, size);
    for (int64_t piece = 0; piece < tasks * each; ++piece)
      for (int64_t i = 0; i < size; ++i) sums[i] += parts[piece * size + i];
    of_activation(activation, [&](auto which) {
      project_by_sums<T, decltype(which)::value>(pool, whole, norm, sums, g, g, of_scale, of_bias);
    });
  }
};

// N pixels of one row: sums over the window of padded pixel times kernel [k, l, c], for one vector of channels.
template <typename T, int N>
void pixels(const T* in, const T* kernel, int k, int l, int64_t row, int64_t column, int64_t step, int64_t c,
            Vec<T>* out) {
  for (int u = 0; u < k; ++u)
    for (int v = 0; v < l; ++v) {
      const Vec<T> weight = load(kernel + (u * l + v) * c);
      const T* p = in + u * row + v * column;
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) out[n] += load(p + n * step) * weight;
    }
}

// One image from its padded input: out = (add ? out : 0) + window sums. Every `spread`-th pixel of an image
// [.., out_width, C] is written, from the first one on.
template <typename T>
void convolve(const T* in, int64_t padded_width, const T* kernel, int k, int l, int64_t stride, int64_t dilation,
              int64_t height, int64_t width, int64_t channels, bool add, T* out, int64_t out_width, int64_t spread) {
  constexpr int lanes = Lanes<T>::count;
  int64_t c = whole<T>(channels), row = dilation * padded_width * c, column = dilation * c, step = stride * c;
  for (int64_t i = 0; i < height; ++i)
    for (int64_t b = 0; b < channels; b += lanes) {
      int64_t live = std::min<int64_t>(lanes, channels - b);
      const T* line = in + i * stride * padded_width * c + b;
      T* to = out + i * spread * out_width * channels + b;
      auto run = [&](auto number, int64_t j) {
        constexpr int N = decltype(number)::value;
        Vec<T> sums[N] = {};
        pixels<T, N>(line + j * step, kernel + b, k, l, row, column, step, c, sums);
        for (int n = 0; n < N; ++n) {
          T* p = to + (j + n) * spread * channels;
          store_part(p, add ? load_part(p, live) + sums[n] : sums[n], live);
        }
      };
      int64_t j = 0;
      for (; j + 8 <= width; j += 8) run(std::integral_constant<int, 8>(), j);
      for (; j + 4 <= width; j += 4) run(std::integral_constant<int, 4>(), j);
      for (; j < width; ++j) run(std::integral_constant<int, 1>(), j);
    }
}

// Of k taps on one axis those that meet the pixels of a phase, i = phase, phase + stride, ..: tap `first`, then every
// `every`-th, `count` of them. Turned round they read every `apart`-th output, for pixel t of the phase from t + start.
struct Taps {
  int64_t first = 0, every, apart, count = 0, start = 0;
  Taps(int64_t phase, int64_t k, int64_t stride, int64_t dilation) {
    int64_t common = std::gcd(stride, dilation), pad = dilation * (k - 1) / 2;
    every = stride / common, apart = dilation / common;
    auto meets = [&](int64_t u) { return (phase + pad - dilation * u) % stride == 0; };
    while (first < std::min(k, every) && !meets(first)) ++first;
    if (first == std::min(k, every)) return;
    count = (k - 1 - first) / every + 1;
    start = (phase + pad - dilation * first) / stride - apart * (count - 1);
  }
};

// Of a kernel [k, k, C] what is read with its rows and columns turned round, or, by default, all of it as it is.
template <typename T>
const T* kernel_of(const T* kernel, int64_t k, int64_t channels, const Taps* rows = nullptr, const Taps* columns = nullptr) {
  int64_t c = whole<T>(channels), height = rows ? rows->count : k, width = columns ? columns->count : k;
  auto tap = [](const Taps* t, int64_t i) { return t ? t->first + t->every * (t->count - 1 - i) : i; };
  T* out = scratch<T>(kKernel, k * k * c);
  std::memset(out, 0, sizeof(T) * height * width * c);
  for (int64_t i = 0; i < height * width; ++i) {
    const T* from = kernel + (tap(rows, i / width) * k + tap(columns, i % width)) * channels;
    std::memcpy(out + i * c, from, sizeof(T) * channels);
  }
  return out;
}

// x [X, B, H, W, C], kernel [X, R, k, k, C] -> y [X, R, B, H', W', C]; moments of y where X and R are 1
template <typename T>
void forward(ffi::ThreadPool& pool, const T* x, Dims xs, const T* kernel, Dims ks, T* y, Dims ys, int64_t stride,
             int64_t dilation, const Beside<T>& beside = {}) {
  Moments<T> moments(beside.mean ? xs[1] : 0, ys[3] * ys[4], xs[4]);
  int64_t X = xs[0], B = xs[1], R = ks[1], k = ks[2], c = xs[4], reach = dilation * (k - 1);
  Image s{xs[2], xs[3], c, whole<T>(c), reach / 2, reach / 2, 1, 1, xs[2] + reach, xs[3] + reach};
  parallel(pool, X * B, [&](int64_t task) {
    int64_t g = task / B, b = task % B;
    const T* in = padded(x + task * xs[2] * xs[3] * c, s, beside.lens);
    for (int64_t r = 0; r < R; ++r) {
      const T* w = kernel_of(kernel + (g * R + r) * k * k * c, k, c);
      convolve(in, s.padded_width, w, k, k, stride, dilation, ys[3], ys[4], c, false,
               y + ((g * R + r) * B + b) * ys[3] * ys[4] * c, ys[4], 1);
    }
    if (beside.mean) moments.take(task, y + task * ys[3] * ys[4] * c);
  });
  if (beside.mean) moments.join(beside.mean, beside.variance);
}

// g like y, kernel -> gradient of x, summed over R. With a stride the pixels of x are `stride` x `stride` images, each
// from taps of its own.
template <typename T>
void to_x(ffi::ThreadPool& pool, const T* g, Dims gs, const T* kernel, Dims ks, T* x, Dims xs, int64_t stride,
          int64_t dilation, Projected<T>* behind = nullptr) {
  if (behind) behind->begin(xs[1], xs[2] * xs[3]);
  int64_t X = xs[0], B = xs[1], R = ks[1], k = ks[2], c = xs[4], height = xs[2], width = xs[3];
  int64_t margin = dilation * (k - 1) / stride + 1;
  Image s{gs[3], gs[4], c, whole<T>(c), margin, margin, 1, 1, gs[3] + 2 * margin, gs[4] + 2 * margin};
  std::vector<Taps> taps;
  for (int64_t phase = 0; phase < stride; ++phase) taps.emplace_back(phase, k, stride, dilation);
  parallel(pool, X * B, [&](int64_t task) {
    int64_t group = task / B, b = task % B;
    T* image = x + task * height * width * c;
    for (int64_t r = 0; r < R; ++r) {
      const T* in = padded(g + ((group * R + r) * B + b) * gs[3] * gs[4] * c, s);
      for (int64_t i = 0; i < std::min(stride, height); ++i)
        for (int64_t j = 0; j < std::min(stride, width); ++j) {
          const Taps &rows = taps[i], &columns = taps[j];
          const T* w = kernel_of(kernel + (group * R + r) * k * k * c, k, c, &rows, &columns);
          const T* from = in + ((margin + rows.start) * s.padded_width + margin + columns.start) * s.pitch;
          convolve(from, s.padded_width, w, rows.count, columns.count, 1, rows.apart, (height - i + stride - 1) / stride,
                   (width - j + stride - 1) / stride, c, r > 0, image + (i * width + j) * c, width, stride);
        }
    }
    if (behind) behind->take(task, image);
  });
  if (behind) behind->end(pool, x);
}

// out += the sums of L rows of the kernel, as many as there are registers for.
template <typename T, int K, int L = K>
void correlate(const T* in, int64_t padded_width, const T* g, int64_t stride, int64_t dilation, int64_t height,
               int64_t width, int64_t channels, T* out) {
  constexpr int lanes = Lanes<T>::count;
  int64_t c = whole<T>(channels), row = dilation * padded_width * c, column = dilation * c;
  for (int64_t b = 0; b < channels; b += lanes) {
    int64_t live = std::min<int64_t>(lanes, channels - b);
    Vec<T> sums[L * K];
#pragma GCC unroll 32
    for (int i = 0; i < L * K; ++i) sums[i] = load_part(out + i * channels + b, live);
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j) {
        const T* p = in + (i * padded_width + j) * stride * c + b;
        const Vec<T> gradient = load_part(g + (i * width + j) * channels + b, live);
#pragma GCC unroll 8
        for (int u = 0; u < L; ++u)
#pragma GCC unroll 8
          for (int v = 0; v < K; ++v) sums[u * K + v] += load(p + u * row + v * column) * gradient;
      }
#pragma GCC unroll 32
    for (int i = 0; i < L * K; ++i) store_part(out + i * channels + b, sums[i], live);
  }
}

template <typename T>
void correlate_all(const T* in, int64_t padded_width, const T* g, int64_t stride, int64_t dilation, int64_t height,
                   int64_t width, int64_t channels, int64_t k, T* out) {
  int64_t c = whole<T>(channels);
  auto run = [&](auto number) {
    constexpr int K = decltype(number)::value, L = K < 7 ? K : 4;
    correlate<T, K, L>(in, padded_width, g, stride, dilation, height, width, channels, out);
    if constexpr (L < K)
      correlate<T, K, K - L>(in + L * dilation * padded_width * c, padded_width, g, stride, dilation, height, width,
                             channels, out + L * K * channels);
  };
  switch (k) {
    case 1: return run(std::integral_constant<int, 1>());
    case 3: return run(std::integral_constant<int, 3>());
    case 5: return run(std::integral_constant<int, 5>());
    case 7: return run(std::integral_constant<int, 7>());
  }
  for (int64_t i = 0; i < k * k; ++i)  // any other size, one position of the window after the other
    correlate<T, 1>(in + (i / k * padded_width + i % k) * dilation * c, padded_width, g, stride, dilation, height, width,
                    channels, out + i * channels);
}

// x, g like y -> gradient of the kernel
template <typename T>
void to_kernel(ffi::ThreadPool& pool, const T* x, Dims xs, const T* g, Dims gs, T* kernel, Dims ks, int64_t stride,
               int64_t dilation, const Lens<T>& lens = {}) {
  int64_t X = xs[0], B = xs[1], R = ks[1], k = ks[2], c = xs[4], reach = dilation * (k - 1), size = R * k * k * c;
  Image s{xs[2], xs[3], c, whole<T>(c), reach / 2, reach / 2, 1, 1, xs[2] + reach, xs[3] + reach};
  int64_t count = std::min<int64_t>(B, 16);  // partial sums, over a fixed set of images each
  int64_t band = std::max<int64_t>(1, 128 / gs[4]);  // rows at a time, which stay in the cache for all channels
  T* parts = zeros<T>(kParts, X * count * size);
  parallel(pool, X * count, [&](int64_t task) {
    int64_t group = task / count;
    for (int64_t b = task % count; b < B; b += count) {
      const T* in = padded(x + (group * B + b) * xs[2] * xs[3] * c, s, lens);
      for (int64_t r = 0; r < R; ++r)
        for (int64_t i = 0; i < gs[3]; i += band) {
          const T* gradient = g + (((group * R + r) * B + b) * gs[3] + i) * gs[4] * c;
          int64_t height = std::min(band, gs[3] - i);
          fetch(gradient + (i ? height * gs[4] * c : 0), height * gs[4] * c * (i ? 1 : 2));
          correlate_all(in + i * stride * s.padded_width * whole<T>(c), s.padded_width, gradient, stride, dilation, height,
                        gs[4], c, k, parts + task * size + r * k * k * c);
        }
    }
  });
  for (int64_t group = 0; group < X; ++group) {
    std::memcpy(kernel + group * size, parts + group * count * size, sizeof(T) * size);
    for (int64_t part = 1; part < count; ++part)
      for (int64_t i = 0; i < size; ++i) kernel[group * size + i] += parts[(group * count + part) * size + i];
  }
}

// Dense convolution: images x [X, B, H, W, C], kernels [X, R, kh, kw, C, D], outputs y [X, R, B, H', W', D].

struct Conv {
  int64_t X, R, B, H, W, C, D, kh, kw, oh, ow, stride_h, stride_w, pad_h, pad_w, dilation;
  int64_t x_size() const { return H * W * C; }
  int64_t y_size() const { return oh * ow * D; }
  Image padded_x() const {
    int64_t height = (oh - 1) * stride_h + (kh - 1) * dilation + 1, width = (ow - 1) * stride_w + (kw - 1) * dilation + 1;
    return {H, W, C, C, pad_h, pad_w, 1, 1, height, width};
  }
};

// A convolution that looks at one pixel at a time is the same for any arrangement of the pixels: as images of one row
// of at most `most` pixels, so that weights are read for many of them, and registers are full.
inline Conv in_rows(Conv s, int64_t most) {
  bool alone = s.kh * s.kw == 1 && s.stride_h == 1 && s.stride_w == 1 && !s.pad_h && !s.pad_w;
  int64_t pixels = s.B * s.H * s.W, width = std::clamp<int64_t>(pixels / 16, std::min<int64_t>(64, most), most);
  while (width > 1 && pixels % width) --width;
  if (!alone || width < s.W) return s;
  s.B = pixels / width, s.H = s.oh = 1, s.W = s.ow = width;
  return s;
}

// Where the pixels under a kernel lie: those of `parts` images [height, width, channels], `part` numbers apart.
struct Window {
  int64_t kh, kw, channels, row, column, parts, part;
};

// N output pixels times M vectors of columns of w [parts, kh, kw, channels, columns].
template <typename T, int N, int M, typename Store>
void dense_block(const T* in, int64_t step, const Window& s, const T* w, int64_t columns, int64_t pixel, int64_t first,
                 const Store& store) {
  constexpr int lanes = Lanes<T>::count;
  Vec<T> sums[N][M] = {};
  const T* b = w + first;
  for (int64_t r = 0; r < s.parts; ++r)
    for (int64_t u = 0; u < s.kh; ++u)
      for (int64_t v = 0; v < s.kw; ++v) {
        const T* a = in + r * s.part + u * s.row + v * s.column;
        for (int64_t c = 0; c < s.channels; ++c, b += columns) {
          Vec<T> weights[M];
#pragma GCC unroll 4
          for (int m = 0; m < M; ++m) weights[m] = load(b + m * lanes);
#pragma GCC unroll 16
          for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
            for (int m = 0; m < M; ++m) sums[n][m] += a[n * step + c] * weights[m];
        }
      }
#pragma GCC unroll 16
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) store(pixel + n, first + m * lanes, sums[n][m]);
}

template <int N> using Number = std::integral_constant<int, N>;

// All output pixels of an image times all columns of w; store(pixel, first column, vector). Pixels of the input are
// `pitch` numbers apart.
template <typename T, typename Store>
void dense(const T* in, int64_t width, int64_t pitch, const Window& s, const T* w, int64_t columns, int64_t stride_h,
           int64_t stride_w, int64_t oh, int64_t ow, const Store& store) {
  constexpr int lanes = Lanes<T>::count;
  auto image = [&](auto vectors, int64_t first) {
    constexpr int M = decltype(vectors)::value, wide = M == 1 ? 16 : 8;  // as many sums as registers hold
    for (int64_t i = 0; i < oh; ++i) {
      int64_t j = 0;
      auto run = [&](auto number) {
        constexpr int N = decltype(number)::value;
        for (; j + N <= ow; j += N) {
          const T* from = in + (i * stride_h * width + j * stride_w) * pitch;
          if (!first && s.kh * s.kw == 1) fetch(from + 8 * pitch, 8 * pitch);
          dense_block<T, N, M>(from, stride_w * pitch, s, w, columns, i * ow + j, first, store);
        }
      };
      run(Number<wide>());
      run(Number<wide / 2>());
      run(Number<4>());
      run(Number<1>());
    }
  };
  int64_t b = 0;
  for (; b + 3 * lanes <= columns; b += 3 * lanes) image(Number<3>(), b);
  for (; b + 2 * lanes <= columns; b += 2 * lanes) image(Number<2>(), b);
  for (; b < columns; b += lanes) image(Number<1>(), b);
}

// The image under the kernels: where nothing is padded, left out or normalised, the image itself.
template <typename T>
const T* under(const T* image, const Image& s, const Lens<T>& lens = {}) {
  return s.whole() && !lens.mean ? image : padded(image, s, lens);
}

// Pixels in a row of a 1x1 convolution: those that the cache holds, where they are normalised first.
template <typename T> int64_t row_of(const Lens<T>& lens, int64_t most, int64_t channels) {
  return lens.mean ? std::clamp<int64_t>((1 << 16) / channels, 16, most) : most;
}

template <typename T>
void conv_forward(ffi::ThreadPool& pool, const Conv& given, const T* x, const T* kernel, T* y,
                  const Beside<T>& beside = {}) {  // moments of y where X and R are 1
  const Conv s = in_rows(given, row_of(beside.lens, 512, given.C));
  Moments<T> moments(beside.mean ? s.B : 0, s.oh * s.ow, s.D);
  int64_t d = whole<T>(s.D), columns = s.R * d, rows = s.kh * s.kw * s.C;
  T* wide = zeros<T>(kParts, s.X * rows * columns);  // [X, kh, kw, C, R * d]: the kernels of one image side by side
  for (int64_t g = 0; g < s.X; ++g)
    for (int64_t r = 0; r < s.R; ++r)
      for (int64_t i = 0; i < rows; ++i)
        std::memcpy(&wide[(g * rows + i) * columns + r * d], kernel + ((g * s.R + r) * rows + i) * s.D, sizeof(T) * s.D);
  Image image = s.padded_x();
  Window window{s.kh, s.kw, s.C, s.dilation * image.padded_width * s.C, s.dilation * s.C, 1, 0};
  parallel(pool, s.X * s.B, [&](int64_t task) {
    int64_t g = task / s.B, b = task % s.B;
    dense(under(x + task * s.x_size(), image, beside.lens), image.padded_width, s.C, window, wide + g * rows * columns,
          columns, s.stride_h, s.stride_w, s.oh, s.ow, [&](int64_t pixel, int64_t column, const Vec<T>& value) {
            int64_t r = column / d, first = column % d;
            T* to = y + ((g * s.R + r) * s.B + b) * s.y_size() + pixel * s.D + first;
            store_part(to, value, std::min<int64_t>(s.D - first, Lanes<T>::count));
          });
    if (beside.mean) moments.take(task, y + task * s.y_size());
  });
  if (beside.mean) moments.join(beside.mean, beside.variance);
}

template <typename T>
void conv_to_x(ffi::ThreadPool& pool, const Conv& given, const T* g, const T* kernel, T* x,
               Projected<T>* behind = nullptr) {
  const Conv s = in_rows(given, behind ? std::clamp<int64_t>((1 << 17) / given.C, 16, 512) : 512);
  if (behind) behind->begin(s.B, s.H * s.W);
  int64_t c = whole<T>(s.C), rows = s.kh * s.kw * s.D, area = s.kh * s.kw;
  T* turned = zeros<T>(kParts, s.X * s.R * rows * c);  // [X, R, kh, kw, D, c], turned by 180 degrees
  for (int64_t g = 0; g < s.X * s.R; ++g)
    for (int64_t k = 0; k < area; ++k)
      for (int64_t i = 0; i < s.C; ++i)
        for (int64_t j = 0; j < s.D; ++j)
          turned[((g * area + k) * s.D + j) * c + i] = kernel[((g * area + area - 1 - k) * s.C + i) * s.D + j];
  int64_t reach_h = (s.kh - 1) * s.dilation, reach_w = (s.kw - 1) * s.dilation;
  Image image{s.oh, s.ow, s.D, s.D, reach_h - s.pad_h, reach_w - s.pad_w, s.stride_h, s.stride_w,
              s.H + reach_h, s.W + reach_w};
  int64_t part = image.whole() ? s.B * s.y_size() : image.padded_height * image.padded_width * s.D;
  Window window{s.kh, s.kw, s.D, s.dilation * image.padded_width * s.D, s.dilation * s.D, s.R, part};
  parallel(pool, s.X * s.B, [&](int64_t task) {
    int64_t group = task / s.B, b = task % s.B;
    const T *from = g + (group * s.R * s.B + b) * s.y_size(), *in = from;
    if (!image.whole()) {
      T* padded = scratch<T>(kPadded, s.R * part);  // the gradients to all R outputs, one after the other
      for (int64_t r = 0; r < s.R; ++r) pad(from + r * s.B * s.y_size(), image, padded + r * part);
      in = padded;
    }
    dense(in, image.padded_width, s.D, window, turned + group * s.R * rows * c, c, 1, 1, s.H, s.W,
          [&](int64_t pixel, int64_t column, const Vec<T>& value) {
            T* to = x + task * s.x_size() + pixel * s.C + column;
            store_part(to, value, std::min<int64_t>(s.C - column, Lanes<T>::count));
          });
    if (behind) behind->take(task, x + task * s.x_size());
  });
  if (behind) behind->end(pool, x);
}

// M vectors of columns of the gradient, each from an output of its own
template <typename T>
struct Columns {
  const T* from[3];
  int64_t live[3];
};

// out [N, M vectors] += over pixels [rows, width]: a [N] (outer) gradient [M vectors]
template <typename T, int N, int M>
void outer_block(const T* a, int64_t step, int64_t row, const Columns<T>& g, int64_t depth, int64_t rows, int64_t width,
                 int64_t columns, T* out) {
  constexpr int lanes = Lanes<T>::count;
  Vec<T> sums[N][M];
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) sums[n][m] = load(out + n * columns + m * lanes);
  int64_t at_pixel = 0;
  for (int64_t i = 0; i < rows; ++i, a += row) {
    const T* p = a;
    for (int64_t j = 0; j < width; ++j, p += step, at_pixel += depth) {
      Vec<T> gradient[M];
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) gradient[m] = load_part(g.from[m] + at_pixel, g.live[m]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) sums[n][m] += p[n] * gradient[m];
    }
  }
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) at(out + n * columns + m * lanes) = sums[n][m];
}

// One image: out [kh, kw, C, R * d] += , for some of C, in bands of rows whose gradients stay in the first cache
template <typename T>
void outer(const Conv& s, const T* in, int64_t padded_width, const T* g, int64_t next, int64_t begin, int64_t end, T* out) {
  constexpr int lanes = Lanes<T>::count;
  int64_t d = whole<T>(s.D), columns = s.R * d, band = std::max<int64_t>(1, 128 / s.ow);
  for (int64_t i = 0; i < s.oh; i += band) {
    int64_t rows = std::min(band, s.oh - i);
    for (int64_t r = 0; r < s.R; ++r) fetch(g + r * next + i * s.ow * s.D, rows * s.ow * s.D);
    for (int64_t j = 0; j < columns;) {
      int64_t vectors = std::min<int64_t>(3, (columns - j) / lanes);
      Columns<T> gradient;
      for (int64_t m = 0; m < vectors; ++m) {
        int64_t r = (j + m * lanes) / d, first = (j + m * lanes) % d;
        gradient.from[m] = g + r * next + i * s.ow * s.D + first;
        gradient.live[m] = std::min<int64_t>(s.D - first, lanes);
      }
      for (int64_t k = 0; k < s.kh * s.kw; ++k) {
        int64_t top = i * s.stride_h + k / s.kw * s.dilation, left = k % s.kw * s.dilation;
        const T* a = in + (top * padded_width + left) * s.C;
        auto channels = [&](auto number, int64_t c) {
          constexpr int N = decltype(number)::value;
          auto run = [&](auto m) {
            outer_block<T, N, decltype(m)::value>(a + c, s.stride_w * s.C, s.stride_h * padded_width * s.C, gradient,
                                                  s.D, rows, s.ow, columns, out + (k * s.C + c) * columns + j);
          };
          vectors == 3 ? run(Number<3>()) : vectors == 2 ? run(Number<2>()) : run(Number<1>());
        };
        int64_t c = begin;
        for (; c + 8 <= end; c += 8) channels(Number<8>(), c);
        for (; c + 4 <= end; c += 4) channels(Number<4>(), c);
        for (; c < end; ++c) channels(Number<1>(), c);
      }
      j += vectors * lanes;
    }
  }
}

// Sums over a fixed set of images each, whatever the threads do: as many as leave the partial sums in the cache, and
// for large kernels, of which there are few such sums, by blocks of channels of x.
template <typename T>
void conv_to_kernel(ffi::ThreadPool& pool, const Conv& given, const T* x, const T* g, T* kernel,
                    const Lens<T>& lens = {}) {
  const Conv s = in_rows(given, row_of(lens, 128, given.C));
  int64_t d = whole<T>(s.D), rows = s.kh * s.kw * s.C, size = rows * s.R * d;
  int64_t parts = std::clamp<int64_t>((1 << 20) / size, 1, std::min<int64_t>(s.B, 16));
  int64_t blocks = std::clamp<int64_t>(16 / parts, 1, (s.C + 23) / 24), block = (s.C + blocks * 8 - 1) / (blocks * 8) * 8;
  T* sums = zeros<T>(kParts, s.X * parts * size);  // [X, parts, kh, kw, C, R, d]
  Image image = s.padded_x();
  parallel(pool, s.X * parts * blocks, [&](int64_t task) {
    int64_t group = task / blocks / parts, part = task / blocks % parts, first = task % blocks * block;
    for (int64_t b = part; b < s.B && first < s.C; b += parts)
      outer(s, under(x + (group * s.B + b) * s.x_size(), image, lens), image.padded_width,
            g + (group * s.R * s.B + b) * s.y_size(), s.B * s.y_size(), first, std::min(first + block, s.C),
            sums + task / blocks * size);
  });
  int64_t chunks = (rows + 31) / 32;
  parallel(pool, s.X * s.R * chunks, [&](int64_t task) {
    int64_t group = task / chunks / s.R, r = task / chunks % s.R, from = task % chunks * 32;
    for (int64_t i = from; i < std::min(from + 32, rows); ++i)
      vectors<T>(s.D, [&](int64_t j, int64_t live) {
        Vec<T> total = {};
        for (int64_t part = 0; part < parts; ++part)
          total += load(&sums[(group * parts + part) * size + (i * s.R + r) * d + j]);
        store_part(kernel + ((group * s.R + r) * rows + i) * s.D + j, total, live);
      });
  });
}

// Batch norm.

// x -> the activation of (x - mean) * factor + offset
template <typename T>
void apply(ffi::ThreadPool& pool, const Pieces& p, const T* x, const T* mean, const T* factors, const T* offsets, T* y,
           int64_t activation) {
  int64_t C = p.channels;
  p.each(pool, false, [&](int64_t group, int64_t, int64_t first, int64_t rows) {
    const T *from = x + first, *m = mean + group * C, *f = factors + group * C, *o = offsets + group * C;
    of_activation(activation, [&](auto which) {
      auto value = ELEMENT((activated<T, decltype(which)::value>((at(from, i) - at(m, c)) * at(f, c) + at(o, c))));
      fill_rows<T>(rows, C, y + first, value);
    });
  });
}

// x -> y * scale + bias (1 and 0 where there are none), activated, mean, variance, 1 / deviation
template <typename T>
void normalise(ffi::ThreadPool& pool, Dims shape, const T* x, const T* scale, const T* bias, T* y, T* mean, T* variance,
               T* inverse, double epsilon, int64_t activation) {
  Pieces p(shape, 4);
  int64_t C = p.channels;
  T *factors = scratch<T>(kFactors, p.groups * C), *offsets = scratch<T>(kOffsets, p.groups * C);
  T* parts = scratch<T>(kParts, p.groups * p.count * 2 * C);  // of every piece its mean and its squared deviations from it
  p.each(pool, true, [&](int64_t group, int64_t piece, int64_t first, int64_t rows) {
    fetch(x + first, rows * C);
    piece_moments(x + first, rows, C, parts + (group * p.count + piece) * 2 * C);
  });
  for (int64_t group = 0; group < p.groups; ++group)
    join_moments(p.count, C, parts + group * p.count * 2 * C, mean + group * C, variance + group * C,
                 [&](int64_t piece) { return std::min(p.rows, p.pixels - piece * p.rows); });
  for (int64_t i = 0; i < p.groups * C; ++i) {
    inverse[i] = 1 / std::sqrt(variance[i] + epsilon);
    factors[i] = scale ? inverse[i] * scale[i] : inverse[i];
    offsets[i] = bias ? bias[i] : 0;
  }
  apply(pool, p, x, mean, factors, offsets, y, activation);
}

// Per group `count` sums of every channel, [groups, count, C]; add(part, first, rows, group) sums over one piece.
template <typename T, typename Add>
const double* channel_sums(ffi::ThreadPool& pool, const Pieces& p, int64_t count, const Add& add) {
  int64_t size = count * p.channels;
  T* parts = scratch<T>(kParts, p.groups * p.count * size);
  p.each(pool, true, [&](int64_t group, int64_t piece, int64_t first, int64_t rows) {
    add(parts + (group * p.count + piece) * size, first, rows, group);
  });
  double* sums = zeros<double>(kSums, p.groups * size);
  for (int64_t group = 0; group < p.groups; ++group)
    for (int64_t piece = 0; piece < p.count; ++piece)
      for (int64_t c = 0; c < size; ++c) sums[group * size + c] += parts[(group * p.count + piece) * size + c];
  return sums;
}

// With y = (x - mean) * inverse: g -> (g - mean(g) - y mean(g y)) * factor, and the sums of g y and of g; of g only what
// the activation of (x - mean) * factor + bias lets through.
template <typename T, Activation kOf>
void project(ffi::ThreadPool& pool, Dims shape, const Norm<T>& norm, const T* g, T* out, T* of_scale, T* of_bias) {
  Pieces p(shape, 4);
  int64_t C = p.channels;
  auto sums = channel_sums<T>(pool, p, 2, [&](T* part, int64_t first, int64_t rows, int64_t group) {
    norm.of_group(group, C).template sums<kOf>(first, rows, C, g + first, part);
  });
  project_by_sums<T, kOf>(pool, p, norm, sums, g, out, of_scale, of_bias);
}

// How mean, variance and 1 / deviation change with x, given dx.
template <typename T>
void moments(ffi::ThreadPool& pool, Dims shape, const T* y, const T* inverse, const T* dx, T* mean, T* variance,
             T* of_inverse) {
  Pieces p(shape, 4);
  int64_t C = p.channels;
  auto sums = channel_sums<T>(pool, p, 2, [&](T* part, int64_t first, int64_t rows, int64_t) {
    const T *a = dx + first, *b = y + first;
    sum_rows<T>(rows, C, part, ELEMENT(at(a, i)));
    sum_rows<T>(rows, C, part + C, ELEMENT(at(a, i) * at(b, i)));
  });
  for (int64_t i = 0; i < p.groups * C; ++i) {
    int64_t group = i / C, c = i % C;
    double product = sums[(2 * group + 1) * C + c] / p.pixels, r = inverse[i];
    mean[i] = sums[2 * group * C + c] / p.pixels;
    variance[i] = 2 * product / r;
    of_inverse[i] = -r * r * product;
  }
}

// How (g - mean(g) - y mean(g y)) * inverse changes with y, inverse and g.
template <typename T>
void bend(ffi::ThreadPool& pool, Dims shape, const T* y, const T* inverse, const T* g, const T* dy, const T* d_inverse,
          const T* dg, T* out) {
  Pieces p(shape, 4);
  int64_t C = p.channels;
  auto sums = channel_sums<T>(pool, p, 4, [&](T* part, int64_t first, int64_t rows, int64_t) {
    const T *a = g + first, *b = y + first, *da = dg + first, *db = dy + first;
    sum_rows<T>(rows, C, part, ELEMENT(at(a, i)));
    sum_rows<T>(rows, C, part + C, ELEMENT(at(a, i) * at(b, i)));
    sum_rows<T>(rows, C, part + 2 * C, ELEMENT(at(da, i)));
    sum_rows<T>(rows, C, part + 3 * C, ELEMENT(at(da, i) * at(b, i) + at(a, i) * at(db, i)));
  });
  T* means = scratch<T>(kOffsets, p.groups * 4 * C);
  for (int64_t i = 0; i < p.groups * 4 * C; ++i) means[i] = sums[i] / p.pixels;
  p.each(pool, false, [&](int64_t group, int64_t, int64_t first, int64_t rows) {
    const T *a = g + first, *b = y + first, *da = dg + first, *db = dy + first, *r = inverse + group * C;
    const T *dr = d_inverse + group * C, *m = means + group * 4 * C, *product = m + C, *dm = product + C, *change = dm + C;
    auto value = ELEMENT((at(da, i) - at(dm, c) - at(b, i) * at(change, c) - at(db, i) * at(product, c)) * at(r, c) +
                         (at(a, i) - at(m, c) - at(b, i) * at(product, c)) * at(dr, c));
    fill_rows<T>(rows, C, out + first, value);
  });
}

// Max pooling, 3x3 with padding 1 that never counts. x [..., H, W, C].

template <typename T> using Mask = decltype(Vec<T>{} > Vec<T>{});

struct Pool {
  int64_t images, H, W, C, stride;
  Pool(Dims x, int64_t stride) : images(1), H(x[x.size() - 3]), W(x[x.size() - 2]), C(x[x.size() - 1]), stride(stride) {
    for (size_t i = 0; i + 3 < x.size(); ++i) images *= x[i];
  }
  int64_t oh() const { return (H + stride - 1) / stride; }
  int64_t ow() const { return (W + stride - 1) / stride; }
  // visit(position 0 to 8, offset in the image) for all positions of a window that are inside
  template <typename Visit>
  void window(int64_t i, int64_t j, const Visit& visit) const {
    for (int64_t u = 0; u < 3; ++u)
      for (int64_t v = 0; v < 3; ++v) {
        int64_t row = i * stride + u - 1, column = j * stride + v - 1;
        if (row >= 0 && row < H && column >= 0 && column < W) visit(static_cast<int>(u * 3 + v), (row * W + column) * C);
      }
  }
};

// use(image, i, j, offset in the output image, first channel, number of channels, where in the window x is largest)
template <typename T, typename Use>
void each_window(ffi::ThreadPool& pool, const Pool& s, const T* x, const Use& use) {
  parallel(pool, s.images, [&](int64_t image) {
    const T* from = x + image * s.H * s.W * s.C;
    for (int64_t i = 0; i < s.oh(); ++i)
      for (int64_t j = 0; j < s.ow(); ++j)
        vectors<T>(s.C, [&](int64_t c, int64_t live) {
          Vec<T> best = {};
          Mask<T> winner = {};
          bool begun = false;
          s.window(i, j, [&](int position, int64_t offset) {
            Vec<T> value = load_part(from + offset + c, live);
            Mask<T> better = (value > best) | (value != value);  // the first of equals; NaN wins
            if (!begun) better = Mask<T>{} - 1;
            begun = true;
            best = better ? value : best;
            winner = better ? Mask<T>{} + position : winner;
          });
          use(image, i, j, (i * s.ow() + j) * s.C, c, live, winner);
        });
  });
}

// y = t where x is largest in each window; t like x
template <typename T>
void max_pick(ffi::ThreadPool& pool, const Pool& s, const T* x, const T* t, T* y) {
  each_window<T>(pool, s, x, [&](int64_t image, int64_t i, int64_t j, int64_t to, int64_t c, int64_t live, const Mask<T>& winner) {
    const T* from = t + image * s.H * s.W * s.C;
    Vec<T> value = {};
    s.window(i, j, [&](int position, int64_t offset) {
      value = winner == position ? load_part(from + offset + c, live) : value;
    });
    store_part(y + image * s.oh() * s.ow() * s.C + to + c, value, live);
  });
}

// The transpose: g like y is added where x is largest in each window.
template <typename T>
void max_scatter(ffi::ThreadPool& pool, const Pool& s, const T* x, const T* g, T* out) {
  std::memset(out, 0, sizeof(T) * s.images * s.H * s.W * s.C);
  each_window<T>(pool, s, x, [&](int64_t image, int64_t i, int64_t j, int64_t from, int64_t c, int64_t live, const Mask<T>& winner) {
    T* to = out + image * s.H * s.W * s.C + c;
    const Vec<T> value = load_part(g + image * s.oh() * s.ow() * s.C + from + c, live), nothing = {};
    s.window(i, j, [&](int position, int64_t offset) {
      store_part(to + offset, load_part(to + offset, live) + (winner == position ? value : nothing), live);
    });
  });
}

// x [..., H, W, C] -> the mean over the pixels of each image [..., C]
template <typename T>
void mean_pool(ffi::ThreadPool& pool, const Pool& s, const T* x, T* y) {
  parallel(pool, s.images, [&](int64_t image) {
    const T* from = x + image * s.H * s.W * s.C;
    T* to = y + image * s.C;
    sum_rows<T>(s.H * s.W, s.C, to, ELEMENT(at(from, i)));
    for (int64_t c = 0; c < s.C; ++c) to[c] /= s.H * s.W;
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
  double* parts = scratch<double>(kParts, count * E * O);
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

using Buffer = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

// What a call brings, checked before any of it is touched: Call("x", "*BHWC", x)("mean", "*C", mean). One letter is one
// size, of at least 1; `*` is any number of axes, the same in all arrays. All arrays are of one type.
class Call {
 public:
  Call(const char* name, const char* axes, const Buffer& array) : type(array.element_type()) { take(name, axes, array); }
  Call& operator()(const char* name, const char* axes, const Buffer& array) { return take(name, axes, array); }
  Call& operator()(const char* name, const char* axes, Out array) { return take(name, axes, *array); }
  Call& operator()(const char* name, const char* axes, ffi::RemainingArgs arrays) {
    for (size_t i = 0; i < arrays.size(); ++i) {
      auto array = arrays.get<Buffer>(i);
      array.has_value() ? take(name, axes, *array) : require(false, "an argument is no array");
    }
    return *this;
  }
  Call& operator()(const char* name, const char* axes, ffi::RemainingRets arrays) {
    for (size_t i = 0; i < arrays.size(); ++i) {
      auto array = arrays.get<Buffer>(i);
      array.has_value() ? take(name, axes, **array) : require(false, "a result is no array");
    }
    return *this;
  }
  Call& require(bool sound, const char* otherwise) {
    if (!sound && wrong.empty()) wrong = otherwise;
    return *this;
  }
  bool sound() const { return wrong.empty(); }
  int64_t operator[](char axis) const { return sizes[static_cast<unsigned char>(axis)]; }
  ffi::DataType type;
  std::string wrong;

 private:
  Call& take(const char* name, const char* axes, const Buffer& array) {
    if (!sound()) return *this;
    Dims dims = array.dimensions();
    const char* star = std::strchr(axes, '*');
    size_t named = std::strlen(axes) - (star ? 1 : 0), at = 0;
    bool fits = star ? dims.size() >= named : dims.size() == named;
    for (const char* axis = axes; fits && *axis; ++axis) {
      if (axis != star) {
        int64_t& size = sizes[static_cast<unsigned char>(*axis)];
        if (!size) size = dims[at];
        fits = dims[at++] == size && size > 0;
        continue;
      }
      Dims own(dims.begin() + at, dims.size() - named);
      if (!has_rest) rest = own;
      has_rest = true;
      fits = own.size() == rest.size() && std::equal(own.begin(), own.end(), rest.begin()) &&
             std::find(own.begin(), own.end(), 0) == own.end();
      at += own.size();
    }
    if (!fits) {
      std::string shape;
      for (int64_t size : dims) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
      wrong = std::string(name) + " is [" + shape + "], which as " + axes + " does not fit the other arrays, or is empty";
    }
    return require(array.element_type() == type, "the arrays are of different types");
  }

  int64_t sizes[128] = {};
  Dims rest;
  bool has_rest = false;
};

template <typename Product>
ffi::Error dispatch(const Call& call, const Product& product) {
  if (!call.sound()) return ffi::Error::InvalidArgument(call.wrong);
  switch (call.type) {
    case ffi::F32: product(float()); return ffi::Error::Success();
    case ffi::F64: product(double()); return ffi::Error::Success();
    default: return ffi::Error::InvalidArgument("expected float32 or float64");
  }
}

// Whether H, W, k, l and the settings of a convolution give h, w. The bounds keep every product within int64.
Call& convolves(Call& call, Dims stride, Dims padding, int64_t dilation) {
  constexpr int64_t most = 1 << 24;
  call.require(stride.size() == 2 && padding.size() == 2, "expected two strides and two paddings");
  double area = 1;
  for (int i = 0; i < 2 && call.sound(); ++i) {
    int64_t in = call["HW"[i]], kernel = call["kl"[i]], out = call["hw"[i]], s = stride[i], p = padding[i];
    call.require(s >= 1 && s <= most && p >= 0 && p <= most && dilation >= 1 && dilation <= most && in <= most &&
                     kernel <= most, "a stride, a padding, a dilation or a size is out of range");
    if (!call.sound()) break;
    int64_t span = (kernel - 1) * dilation + 1, room = in + 2 * p - span;
    call.require(room >= 0 && out == room / s + 1, "the size of the result does not follow from the others");
    area *= in + 2.0 * p + span + s;
  }
  return call.require(area * std::max(call['C'], call['D']) * call['R'] < 1e15, "the padded images are too large");
}

// A square kernel of odd size, and padding that keeps the image.
Call& keeps(Call& call, Dims stride, Dims padding, int64_t dilation) {
  convolves(call, stride, padding, dilation);
  if (!call.sound()) return call;
  int64_t k = call['k'], pad = dilation * (k - 1) / 2;
  return call.require(k % 2 && k == call['l'] && stride[0] == stride[1] && padding[0] == pad && padding[1] == pad,
                      "expected a square kernel of odd size, one stride and padding that keeps the image");
}

template <typename T> const T* data(const Buffer& a) { return static_cast<const T*>(a.untyped_data()); }
template <typename T> T* data(Out& a) { return static_cast<T*>(a->untyped_data()); }
template <typename T> std::vector<const T*> data(ffi::RemainingArgs args) {
  std::vector<const T*> out;
  for (size_t i = 0; i < args.size(); ++i) out.push_back(data<T>(*args.get<Buffer>(i)));
  return out;
}

#define DEPTHWISE(name, axes_a, axes_b, axes_out)                                                             \
  ffi::Error name##_call(ffi::ThreadPool pool, Buffer a, Buffer b, Out out, Dims stride, Dims padding, int64_t dilation) { \
    Call call("the first array", axes_a, a);                                                                  \
    return dispatch(keeps(call("the second array", axes_b, b)("the result", axes_out, out), stride, padding, dilation), \
                    [&](auto zero) {                                                                          \
      using T = decltype(zero);                                                                               \
      name<T>(pool, data<T>(a), a.dimensions(), data<T>(b), b.dimensions(), data<T>(out), out->dimensions(),  \
              stride[0], dilation);                                                                           \
    });                                                                                                       \
  }

DEPTHWISE(forward, "XBHWC", "XRklC", "XRBhwC")
DEPTHWISE(to_x, "XRBhwC", "XRklC", "XBHWC")
DEPTHWISE(to_kernel, "XBHWC", "XRBhwC", "XRklC")

#define DENSE(name, axes_a, axes_b, axes_out)                                                                 \
  ffi::Error name##_call(ffi::ThreadPool pool, Buffer a, Buffer b, Out out, Dims stride, Dims padding, int64_t dilation) { \
    Call call("the first array", axes_a, a);                                                                  \
    convolves(call("the second array", axes_b, b)("the result", axes_out, out), stride, padding, dilation);   \
    return dispatch(call, [&](auto zero) {                                                                    \
      using T = decltype(zero);                                                                               \
      Conv s{call['X'], call['R'], call['B'], call['H'], call['W'], call['C'], call['D'], call['k'], call['l'], call['h'], \
             call['w'], stride[0], stride[1], padding[0], padding[1], dilation};                              \
      name<T>(pool, s, data<T>(a), data<T>(b), data<T>(out));                                                 \
    });                                                                                                       \
  }

DENSE(conv_forward, "XBHWC", "XRklCD", "XRBhwD")
DENSE(conv_to_x, "XRBhwD", "XRklCD", "XBHWC")
DENSE(conv_to_kernel, "XBHWC", "XRBhwD", "XRklCD")

bool positive(double epsilon) { return std::isfinite(epsilon) && epsilon > 0; }
constexpr const char* kEpsilon = "epsilon must be a number above 0";
constexpr const char* kNoActivation = "there is no such activation";

ffi::Error normalise_call(ffi::ThreadPool pool, Buffer x, Out y, Out mean, Out variance, Out inverse, double epsilon) {
  Call call("x", "*BHWC", x);
  call("y", "*BHWC", y)("mean", "*C", mean)("variance", "*C", variance)("inverse", "*C", inverse);
  return dispatch(call.require(positive(epsilon), kEpsilon), [&](auto zero) {
    using T = decltype(zero);
    normalise<T>(pool, x.dimensions(), data<T>(x), nullptr, nullptr, data<T>(y), data<T>(mean), data<T>(variance),
                 data<T>(inverse), epsilon, kLinear);
  });
}

ffi::Error affine_call(ffi::ThreadPool pool, Buffer x, Buffer scale, Buffer bias, Out y, Out mean, Out variance,
                       Out inverse, double epsilon, int64_t activation) {
  Call call("x", "*BHWC", x);
  call("scale", "*C", scale)("bias", "*C", bias);
  call("y", "*BHWC", y)("mean", "*C", mean)("variance", "*C", variance)("inverse", "*C", inverse);
  call.require(activation >= 0 && activation < kActivations, kNoActivation);
  return dispatch(call.require(positive(epsilon), kEpsilon), [&](auto zero) {
    using T = decltype(zero);
    normalise<T>(pool, x.dimensions(), data<T>(x), data<T>(scale), data<T>(bias), data<T>(y), data<T>(mean),
                 data<T>(variance), data<T>(inverse), epsilon, activation);
  });
}

template <typename T> Norm<T> norm_of(Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias) {
  T* factors = scratch<T>(kFactors, inverse.element_count());
  for (size_t i = 0; i < inverse.element_count(); ++i) factors[i] = data<T>(inverse)[i] * data<T>(scale)[i];
  return {data<T>(x), data<T>(mean), data<T>(inverse), factors, data<T>(bias)};
}

ffi::Error affine_again_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias, Out y,
                             int64_t activation) {
  Call call("x", "*BHWC", x);
  call("mean", "*C", mean)("inverse", "*C", inverse)("scale", "*C", scale)("bias", "*C", bias)("y", "*BHWC", y);
  return dispatch(call.require(activation >= 0 && activation < kActivations, kNoActivation), [&](auto zero) {
    using T = decltype(zero);
    Norm<T> norm = norm_of<T>(x, mean, inverse, scale, bias);
    apply(pool, Pieces(x.dimensions(), 4), norm.x, norm.mean, norm.factor, norm.bias, data<T>(y), activation);
  });
}

ffi::Error whiten_call(ffi::ThreadPool pool, Buffer y, Buffer inverse, Buffer g, Out out) {
  Call call("y", "*BHWC", y);
  return dispatch(call("inverse", "*C", inverse)("g", "*BHWC", g)("the result", "*BHWC", out), [&](auto zero) {
    using T = decltype(zero);
    int64_t size = inverse.element_count();
    std::vector<T> zeros(size), ones(size, 1), of_scale(size), of_bias(size);
    Norm<T> norm{data<T>(y), zeros.data(), ones.data(), data<T>(inverse), zeros.data()};
    project<T, kLinear>(pool, y.dimensions(), norm, data<T>(g), data<T>(out), of_scale.data(), of_bias.data());
  });
}

ffi::Error moments_call(ffi::ThreadPool pool, Buffer y, Buffer inverse, Buffer dx, Out mean, Out variance, Out of_inverse) {
  Call call("y", "*BHWC", y);
  call("inverse", "*C", inverse)("dx", "*BHWC", dx);
  call("mean", "*C", mean)("variance", "*C", variance)("of_inverse", "*C", of_inverse);
  return dispatch(call, [&](auto zero) {
    using T = decltype(zero);
    moments<T>(pool, y.dimensions(), data<T>(y), data<T>(inverse), data<T>(dx), data<T>(mean), data<T>(variance),
               data<T>(of_inverse));
  });
}

ffi::Error bend_call(ffi::ThreadPool pool, Buffer y, Buffer inverse, Buffer g, Buffer dy, Buffer d_inverse, Buffer dg, Out out) {
  Call call("y", "*BHWC", y);
  call("inverse", "*C", inverse)("g", "*BHWC", g)("dy", "*BHWC", dy)("d_inverse", "*C", d_inverse)("dg", "*BHWC", dg);
  return dispatch(call("the result", "*BHWC", out), [&](auto zero) {
    using T = decltype(zero);
    bend<T>(pool, y.dimensions(), data<T>(y), data<T>(inverse), data<T>(g), data<T>(dy), data<T>(d_inverse), data<T>(dg),
            data<T>(out));
  });
}

ffi::Error affine_backward_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias,
                                Buffer g, Out out, Out of_scale, Out of_bias, int64_t activation) {
  Call call("x", "*BHWC", x);
  call("mean", "*C", mean)("inverse", "*C", inverse)("scale", "*C", scale)("bias", "*C", bias)("g", "*BHWC", g);
  call("the result", "*BHWC", out)("of_scale", "*C", of_scale)("of_bias", "*C", of_bias);
  return dispatch(call.require(activation >= 0 && activation < kActivations, kNoActivation), [&](auto zero) {
    using T = decltype(zero);
    Norm<T> norm = norm_of<T>(x, mean, inverse, scale, bias);
    of_activation(activation, [&](auto which) {
      project<T, decltype(which)::value>(pool, x.dimensions(), norm, data<T>(g), data<T>(out), data<T>(of_scale),
                                         data<T>(of_bias));
    });
  });
}

// Convolutions that read an image through a norm, (x - mean) * inverse * scale + bias and its activation, and take the
// moments of what they write.

Call& normed(Call& call, Buffer mean, Buffer inverse, Buffer scale, Buffer bias, int64_t activation) {
  call("mean", "C", mean)("inverse", "C", inverse)("scale", "C", scale)("bias", "C", bias);
  return call.require(activation >= 0 && activation < kActivations, kNoActivation);
}

template <typename T>
Lens<T> lens_of(Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias, int64_t activation) {
  Norm<T> norm = norm_of<T>(x, mean, inverse, scale, bias);
  return {norm.mean, norm.factor, norm.bias, activation};
}

// A depthwise convolution [B, H, W, C] with one kernel [k, k, C] of odd size that keeps the image, but for the stride.
struct Filter {
  int64_t strides[2], pads[2], x[5], kernel[5], y[6];
  Filter(const Call& call, int64_t stride)
      : strides{stride, stride}, pads{(call['k'] - 1) / 2, (call['k'] - 1) / 2}, x{1, call['B'], call['H'], call['W'], call['C']},
        kernel{1, 1, call['k'], call['k'], call['C']}, y{1, 1, call['B'], call['h'], call['w'], call['C']} {}
  Call& check(Call& call) const { return call.sound() ? keeps(call, Dims(strides, 2), Dims(pads, 2), 1) : call; }
};

ffi::Error normed_depthwise_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias,
                                 Buffer kernel, Out y, Out of_mean, Out of_variance, int64_t size, int64_t stride, int64_t activation) {
  Call call("x", "BHWC", x);
  normed(call, mean, inverse, scale, bias, activation)("kernel", "klC", kernel)("y", "BhwC", y);
  call("the mean of y", "C", of_mean)("the variance of y", "C", of_variance);
  Filter f(call.require(call['k'] == size, "the size is not that of the kernel"), stride);
  return dispatch(f.check(call), [&](auto zero) {
    using T = decltype(zero);
    Beside<T> beside{lens_of<T>(x, mean, inverse, scale, bias, activation), data<T>(of_mean), data<T>(of_variance)};
    forward<T>(pool, data<T>(x), Dims(f.x, 5), data<T>(kernel), Dims(f.kernel, 5), data<T>(y), Dims(f.y, 6), stride, 1, beside);
  });
}

ffi::Error normed_depthwise_to_kernel_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale,
                                           Buffer bias, Buffer g, Out kernel, int64_t size, int64_t stride,
                                           int64_t activation) {
  Call call("x", "BHWC", x);
  normed(call, mean, inverse, scale, bias, activation)("g", "BhwC", g)("the kernel", "klC", kernel);
  Filter f(call.require(call['k'] == size, "the size is not that of the kernel"), stride);
  return dispatch(f.check(call), [&](auto zero) {
    using T = decltype(zero);
    to_kernel<T>(pool, data<T>(x), Dims(f.x, 5), data<T>(g), Dims(f.y, 6), data<T>(kernel), Dims(f.kernel, 5), stride, 1,
                 lens_of<T>(x, mean, inverse, scale, bias, activation));
  });
}

ffi::Error normed_depthwise_to_x_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias,
                                      Buffer g, Buffer kernel, Out of_x, Out of_scale, Out of_bias, int64_t stride,
                                      int64_t activation) {
  Call call("x", "BHWC", x);
  normed(call, mean, inverse, scale, bias, activation)("g", "BhwC", g)("kernel", "klC", kernel);
  call("the gradient of x", "BHWC", of_x)("that of scale", "C", of_scale)("that of bias", "C", of_bias);
  Filter f(call, stride);
  return dispatch(f.check(call), [&](auto zero) {
    using T = decltype(zero);
    Projected<T> behind(x.dimensions(), norm_of<T>(x, mean, inverse, scale, bias), activation, data<T>(of_scale), data<T>(of_bias));
    to_x<T>(pool, data<T>(g), Dims(f.y, 6), data<T>(kernel), Dims(f.kernel, 5), data<T>(of_x), Dims(f.x, 5), stride, 1, &behind);
  });
}

Conv pointwise(const Call& call) {
  int64_t B = call['B'], H = call['H'], W = call['W'];
  return {1, 1, B, H, W, call['C'], call['D'], 1, 1, H, W, 1, 1, 0, 0, 1};
}

ffi::Error pointwise_moments_call(ffi::ThreadPool pool, Buffer x, Buffer kernel, Out y, Out of_mean, Out of_variance) {
  Call call("x", "BHWC", x);
  call("kernel", "CD", kernel)("y", "BHWD", y)("the mean of y", "D", of_mean)("the variance of y", "D", of_variance);
  return dispatch(call, [&](auto zero) {
    using T = decltype(zero);
    Beside<T> beside{{}, data<T>(of_mean), data<T>(of_variance)};
    conv_forward<T>(pool, pointwise(call), data<T>(x), data<T>(kernel), data<T>(y), beside);
  });
}

ffi::Error normed_pointwise_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias,
                                 Buffer kernel, Out y, Out of_mean, Out of_variance, int64_t activation) {
  Call call("x", "BHWC", x);
  normed(call, mean, inverse, scale, bias, activation)("kernel", "CD", kernel)("y", "BHWD", y);
  call("the mean of y", "D", of_mean)("the variance of y", "D", of_variance);
  return dispatch(call, [&](auto zero) {
    using T = decltype(zero);
    Beside<T> beside{lens_of<T>(x, mean, inverse, scale, bias, activation), data<T>(of_mean), data<T>(of_variance)};
    conv_forward<T>(pool, pointwise(call), data<T>(x), data<T>(kernel), data<T>(y), beside);
  });
}

ffi::Error normed_pointwise_to_kernel_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale,
                                           Buffer bias, Buffer g, Out kernel, int64_t activation) {
  Call call("x", "BHWC", x);
  normed(call, mean, inverse, scale, bias, activation)("g", "BHWD", g)("the kernel", "CD", kernel);
  return dispatch(call, [&](auto zero) {
    using T = decltype(zero);
    conv_to_kernel<T>(pool, pointwise(call), data<T>(x), data<T>(g), data<T>(kernel),
                      lens_of<T>(x, mean, inverse, scale, bias, activation));
  });
}

ffi::Error normed_pointwise_to_x_call(ffi::ThreadPool pool, Buffer x, Buffer mean, Buffer inverse, Buffer scale, Buffer bias,
                                      Buffer g, Buffer kernel, Out of_x, Out of_scale, Out of_bias, int64_t activation) {
  Call call("x", "BHWC", x);
  normed(call, mean, inverse, scale, bias, activation)("g", "BHWD", g)("kernel", "CD", kernel);
  call("the gradient of x", "BHWC", of_x)("that of scale", "C", of_scale)("that of bias", "C", of_bias);
  return dispatch(call, [&](auto zero) {
    using T = decltype(zero);
    Projected<T> behind(x.dimensions(), norm_of<T>(x, mean, inverse, scale, bias), activation, data<T>(of_scale), data<T>(of_bias));
    conv_to_x<T>(pool, pointwise(call), data<T>(g), data<T>(kernel), data<T>(of_x), &behind);
  });
}

// An array for what nobody reads, which costs nothing.
ffi::Error unwritten_call(Out, int64_t) { return ffi::Error::Success(); }

Call& pools(Call& call, int64_t stride) {
  call.require(stride >= 1 && stride <= 1 << 24, "the stride is out of range");
  if (!call.sound()) return call;
  return call.require(call['h'] == (call['H'] + stride - 1) / stride && call['w'] == (call['W'] + stride - 1) / stride,
                      "the size of the result does not follow from the others");
}

ffi::Error max_pick_call(ffi::ThreadPool pool, Buffer x, Buffer t, Out y, int64_t stride) {
  Call call("x", "*HWC", x);
  return dispatch(pools(call("t", "*HWC", t)("y", "*hwC", y), stride), [&](auto zero) {
    using T = decltype(zero);
    max_pick<T>(pool, Pool(x.dimensions(), stride), data<T>(x), data<T>(t), data<T>(y));
  });
}

ffi::Error max_scatter_call(ffi::ThreadPool pool, Buffer x, Buffer g, Out out, int64_t stride) {
  Call call("x", "*HWC", x);
  return dispatch(pools(call("g", "*hwC", g)("the result", "*HWC", out), stride), [&](auto zero) {
    using T = decltype(zero);
    max_scatter<T>(pool, Pool(x.dimensions(), stride), data<T>(x), data<T>(g), data<T>(out));
  });
}

ffi::Error mean_pool_call(ffi::ThreadPool pool, Buffer x, Out y) {
  Call call("x", "*HWC", x);
  return dispatch(call("y", "*C", y), [&](auto zero) {
    using T = decltype(zero);
    mean_pool<T>(pool, Pool(x.dimensions(), 1), data<T>(x), data<T>(y));
  });
}

// The axes of a value; there are as many values as columns of the weights.
const char* value_axes(int64_t shared) { return shared ? "*" : "E*"; }
constexpr const char* kValues = "there are not as many values as columns of the weights";

ffi::Error mix_call(ffi::ThreadPool pool, Buffer weights, ffi::RemainingArgs values, Out out, int64_t shared) {
  Call call("weights", "EO", weights);
  call("a value", value_axes(shared), values)("the result", "E*", out);
  return dispatch(call.require(call['O'] == static_cast<int64_t>(values.size()), kValues), [&](auto zero) {
    using T = decltype(zero);
    mix<T>(pool, data<T>(weights), data<T>(values), shared, call['E'], out->element_count() / call['E'], data<T>(out));
  });
}

ffi::Error mix_to_weights_call(ffi::ThreadPool pool, Buffer g, ffi::RemainingArgs values, Out out, int64_t shared) {
  Call call("g", "E*", g);
  call("a value", value_axes(shared), values)("the weights", "EO", out);
  return dispatch(call.require(call['O'] == static_cast<int64_t>(values.size()), kValues), [&](auto zero) {
    using T = decltype(zero);
    mix_to_weights<T>(pool, data<T>(g), data<T>(values), shared, call['E'], g.element_count() / call['E'], data<T>(out));
  });
}

ffi::Error mix_to_values_call(ffi::ThreadPool pool, Buffer weights, Buffer g, ffi::RemainingRets outs, int64_t shared) {
  Call call("weights", "EO", weights);
  call("g", "E*", g)("a value", value_axes(shared), outs);
  return dispatch(call.require(call['O'] == static_cast<int64_t>(outs.size()), kValues), [&](auto zero) {
    using T = decltype(zero);
    std::vector<T*> to;
    for (size_t i = 0; i < outs.size(); ++i) to.push_back(static_cast<T*>((*outs.get<Buffer>(i))->untyped_data()));
    mix_to_values<T>(pool, data<T>(weights), data<T>(g), to, shared, call['E'], g.element_count() / call['E']);
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
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_affine_forward, affine_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>()
                                  .Ret<Buffer>().Attr<double>("epsilon").Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_affine_backward, affine_backward_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>()
                                  .Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_affine_again, affine_again_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>()
                                  .Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_norm_backward, whiten_call, BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_norm_moments, moments_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_norm_bend, bend_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>()
                                  .Ret<Buffer>());
#define NORMED BIND.Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>().Arg<Buffer>()
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_normed_depthwise, normed_depthwise_call,
                              NORMED.Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Attr<int64_t>("size").Attr<int64_t>("stride")
                                  .Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_normed_depthwise_to_kernel, normed_depthwise_to_kernel_call,
                              NORMED.Ret<Buffer>().Attr<int64_t>("size").Attr<int64_t>("stride")
                                  .Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_pointwise_moments, pointwise_moments_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_normed_pointwise, normed_pointwise_call,
                              NORMED.Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_normed_pointwise_to_kernel, normed_pointwise_to_kernel_call,
                              NORMED.Ret<Buffer>().Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_normed_depthwise_to_x, normed_depthwise_to_x_call,
                              NORMED.Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Attr<int64_t>("stride")
                                  .Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_normed_pointwise_to_x, normed_pointwise_to_x_call,
                              NORMED.Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Ret<Buffer>().Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_unwritten, unwritten_call, ffi::Ffi::Bind().Ret<Buffer>().Attr<int64_t>("number"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_max_pick, max_pick_call, BIND.Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Attr<int64_t>("stride"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_max_scatter, max_scatter_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Attr<int64_t>("stride"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mean_pool, mean_pool_call, BIND.Arg<Buffer>().Ret<Buffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mix_forward, mix_call, BIND.Arg<Buffer>().RemainingArgs().Ret<Buffer>().Attr<int64_t>("shared"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mix_to_weights, mix_to_weights_call,
                              BIND.Arg<Buffer>().RemainingArgs().Ret<Buffer>().Attr<int64_t>("shared"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(dnas_mix_to_values, mix_to_values_call,
                              BIND.Arg<Buffer>().Arg<Buffer>().RemainingRets().Attr<int64_t>("shared"));
