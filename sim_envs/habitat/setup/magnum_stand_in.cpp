// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
//
// A small stand-in for the Python bindings of Magnum, which the wheel of habitat-sim imports and does not bring.
// Value types and scene-graph interfaces, under the names and with the memory layouts that the prebuilt wheel uses,
// are made known to pybind11, with the small part of their Python interface that habitat_sim calls.
// Layouts and numbers of formats are interface facts of that library; see install.py for how this is compiled.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <pybind11/functional.h>
#include <pybind11/operators.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <sstream>
namespace py = pybind11;

namespace Magnum {
namespace Math {
template <class T> class Vector2 {
public:
  T d[2]{};
};
template <class T> class Vector3 {
public:
  T d[3]{};
};
template <class T> class Vector4 {
public:
  T d[4]{};
};
template <class T> class Color3 : public Vector3<T> {};
template <class T> class Color4 : public Vector4<T> {
public:
  Color4() { this->d[3] = T(1); }
};
template <class T> class Quaternion {
public:
  T d[4]{0, 0, 0, 1};
}; // x y z w
template <std::size_t N, class T> class Matrix {
public:
  T d[N * N]{};
  Matrix() {
    for (std::size_t i = 0; i < N; ++i)
      d[i * N + i] = T(1);
  }
}; // column-major
template <class T> class Matrix3 : public Matrix<3, T> {};
template <class T> class Matrix4 : public Matrix<4, T> {};
template <class T> class Range2D {
public:
  Vector2<T> lo, hi;
};
template <class T> class Range3D {
public:
  Vector3<T> lo, hi;
};
template <class T> class Deg {
public:
  T v{};
};
template <class T> class Rad {
public:
  T v{};
};
} // namespace Math
enum class PixelFormat : std::uint32_t {};
struct PixelStorageData {
  std::int32_t rowLength = 0, imageHeight = 0, skip[3] = {0, 0, 0}, alignment = 1;
};
template <unsigned dim, class T> class ImageView {
public:
  PixelStorageData storage;
  PixelFormat format{};
  std::uint32_t formatExtra = 0, pixelSize = 0;
  Math::Vector2<int> size;
  T *data = nullptr;
  std::size_t bytes = 0;
};

namespace SceneGraph {
using V3 = Math::Vector3<float>;
using Q = Math::Quaternion<float>;
using M4 = Math::Matrix4<float>;
using R = Math::Rad<float>;
template <unsigned dim, class T> class AbstractObject {
public:
  virtual ~AbstractObject() = default;
  virtual AbstractObject *doScene() = 0;
  virtual const AbstractObject *doScene() const = 0;
  virtual AbstractObject *doParent() = 0;
  virtual const AbstractObject *doParent() const = 0;
  virtual M4 doTransformationMatrix() const = 0;
  virtual M4 doAbsoluteTransformationMatrix() const = 0;
  virtual std::vector<M4> doTransformationMatrices(const std::vector<std::reference_wrapper<AbstractObject>> &,
                                                   const M4 &) const = 0;
  virtual bool doIsDirty() const = 0;
  virtual void doSetDirty() = 0;
  virtual void doSetClean() = 0;
  virtual void doSetClean(const std::vector<std::reference_wrapper<AbstractObject>> &) = 0;
  void *firstFeature, *lastFeature;
};
template <class T> class BasicTranslationRotationScalingTransformation3D {
public:
  virtual void doResetTransformation() = 0;
  virtual void doTranslate(const V3 &) = 0;
  virtual void doTranslateLocal(const V3 &) = 0;
  virtual void doRotate(const Q &) = 0;
  virtual void doRotateLocal(const Q &) = 0;
  V3 t;
  Q r;
  V3 s;
};
template <class Tr> class Object : public AbstractObject<3, float>, public Tr {};
template <unsigned dim, class T> class AbstractFeature {
public:
  virtual ~AbstractFeature() = default;
  AbstractObject<dim, T> *holder;
  void *previous, *next;
};
template <unsigned dim, class T> class Camera : public AbstractFeature<dim, T> {};
template <class T> struct NodeHolder : std::unique_ptr<T> {
  explicit NodeHolder(T *p) : std::unique_ptr<T>{p} {}
};
} // namespace SceneGraph
} // namespace Magnum
PYBIND11_DECLARE_HOLDER_TYPE(T, Magnum::SceneGraph::NodeHolder<T>)

using namespace Magnum;
using namespace Magnum::Math;
using V2 = Vector2<float>;
using V2i = Vector2<int>;
using V3 = Vector3<float>;
using V4 = Vector4<float>;
using Q = Quaternion<float>;
using C3 = Color3<float>;
using C4 = Color4<float>;
using M3 = Matrix3<float>;
using M4 = Matrix4<float>;
using M4d = Matrix4<double>;
using Degd = Deg<double>;
using Radd = Rad<double>;

template <class V> constexpr int dims = sizeof(V::d) / sizeof(V::d[0]);
template <class V> using el = std::remove_reference_t<decltype(std::declval<V &>().d[0])>;
template <class V> V fromSeq(const py::object &o) {
  V v;
  int i = 0;
  for (auto h : py::iter(o)) {
    if (i >= dims<V>)
      throw py::value_error("too many components");
    v.d[i++] = h.cast<el<V>>();
  }
  if (i != dims<V>)
    throw py::value_error("wrong number of components");
  return v;
}
template <class V> std::string str(const char *n, const V &v) {
  std::ostringstream s;
  s << n << '(';
  for (int i = 0; i < dims<V>; ++i)
    s << (i ? ", " : "") << v.d[i];
  s << ')';
  return s.str();
}
template <class V> double dot(const V &a, const V &b) {
  double r = 0;
  for (int i = 0; i < dims<V>; ++i)
    r += double(a.d[i]) * b.d[i];
  return r;
}
V3 cross(const V3 &a, const V3 &b) {
  V3 r;
  for (int i = 0; i < 3; ++i)
    r.d[i] = a.d[(i + 1) % 3] * b.d[(i + 2) % 3] - a.d[(i + 2) % 3] * b.d[(i + 1) % 3];
  return r;
}
template <class V> V unit(V v) {
  double n = std::sqrt(dot(v, v));
  for (auto &x : v.d)
    x = el<V>(x / n);
  return v;
}

template <class V, class... Base>
py::class_<V, Base...> vec(py::module_ &m, const char *name, const char *shown = "Vector") {
  using T = el<V>;
  py::class_<V, Base...> c(m, name, py::buffer_protocol());
  c.def(py::init<>())
      .def(py::init<const V &>())
      .def(py::init([](T x) {
        V v;
        for (auto &e : v.d)
          e = x;
        return v;
      }))
      .def(py::init([](py::args a) {
        if (a.size() == 1)
          return fromSeq<V>(a[0]);
        return fromSeq<V>(a);
      }))
      .def_buffer([](V &v) {
        return py::buffer_info(v.d, sizeof(T), py::format_descriptor<T>::format(), 1, {dims<V>}, {sizeof(T)});
      })
      .def_static("zero_init",
                  [] {
                    V v;
                    for (auto &e : v.d)
                      e = 0;
                    return v;
                  })
      .def("__len__", [](const V &) { return dims<V>; })
      .def("__getitem__",
           [](const V &v, int i) {
             if (i < 0)
               i += dims<V>;
             if (i < 0 || i >= dims<V>)
               throw py::index_error();
             return v.d[i];
           })
      .def("__setitem__",
           [](V &v, int i, T x) {
             if (i < 0)
               i += dims<V>;
             if (i < 0 || i >= dims<V>)
               throw py::index_error();
             v.d[i] = x;
           })
      .def("__eq__",
           [](const V &a, const V &b) {
             for (int i = 0; i < dims<V>; ++i)
               if (std::abs(double(a.d[i]) - b.d[i]) > 1e-5 * std::max(1.0, std::abs(double(a.d[i]))))
                 return false;
             return true;
           })
      .def("__neg__",
           [](const V &a) {
             V r;
             for (int i = 0; i < dims<V>; ++i)
               r.d[i] = -a.d[i];
             return r;
           })
      .def("__repr__", [shown](const V &v) { return str(shown, v); })
      .def("dot", [](const V &v) { return dot(v, v); })
      .def("length", [](const V &v) { return std::sqrt(dot(v, v)); })
      .def("is_zero", [](const V &v) { return dot(v, v) < 1e-10; })
      .def("sum",
           [](const V &v) {
             T r = 0;
             for (auto x : v.d)
               r += x;
             return r;
           })
      .def("normalized", [](const V &v) { return unit(v); })
      .def(py::pickle(
          [](const V &v) {
            py::tuple t(dims<V>);
            for (int i = 0; i < dims<V>; ++i)
              t[i] = v.d[i];
            return t;
          },
          [](py::tuple t) { return fromSeq<V>(t); }));
#define OP(name, expr)                                                                                                 \
  c.def(                                                                                                               \
      name,                                                                                                            \
      [](const V &a, const V &b) {                                                                                     \
        V r;                                                                                                           \
        for (int i = 0; i < dims<V>; ++i)                                                                              \
          r.d[i] = expr;                                                                                               \
        return r;                                                                                                      \
      },                                                                                                               \
      py::is_operator())
  OP("__add__", a.d[i] + b.d[i]);
  OP("__sub__", a.d[i] - b.d[i]);
  OP("__iadd__", a.d[i] + b.d[i]);
  OP("__isub__", a.d[i] - b.d[i]);
#undef OP
  c.def(
       "__mul__",
       [](const V &a, double k) {
         V r;
         for (int i = 0; i < dims<V>; ++i)
           r.d[i] = T(a.d[i] * k);
         return r;
       },
       py::is_operator())
      .def(
          "__mul__",
          [](const V &a, const V &b) {
            V r;
            for (int i = 0; i < dims<V>; ++i)
              r.d[i] = a.d[i] * b.d[i];
            return r;
          },
          py::is_operator())
      .def(
          "__rmul__",
          [](const V &a, double k) {
            V r;
            for (int i = 0; i < dims<V>; ++i)
              r.d[i] = T(a.d[i] * k);
            return r;
          },
          py::is_operator())
      .def(
          "__truediv__",
          [](const V &a, double k) {
            V r;
            for (int i = 0; i < dims<V>; ++i)
              r.d[i] = T(a.d[i] / k);
            return r;
          },
          py::is_operator());
  static const char *xyz[] = {"x", "y", "z", "w"};
  static const char *rgb[] = {"r", "g", "b", "a"};
  for (int i = 0; i < dims<V>; ++i)
    for (auto n : {xyz[i], rgb[i]})
      c.def_property(n, [i](const V &v) { return v.d[i]; }, [i](V &v, T x) { v.d[i] = x; });
  py::implicitly_convertible<py::tuple, V>();
  py::implicitly_convertible<py::list, V>();
  py::implicitly_convertible<py::buffer, V>();
  return c;
}
Q qmul(const Q &a, const Q &b) {
  const float *p = a.d, *q = b.d;
  Q r;
  r.d[0] = p[3] * q[0] + p[0] * q[3] + p[1] * q[2] - p[2] * q[1];
  r.d[1] = p[3] * q[1] - p[0] * q[2] + p[1] * q[3] + p[2] * q[0];
  r.d[2] = p[3] * q[2] + p[0] * q[1] - p[1] * q[0] + p[2] * q[3];
  r.d[3] = p[3] * q[3] - p[0] * q[0] - p[1] * q[1] - p[2] * q[2];
  return r;
}
Q qrot(double angle, const V3 &axis) {
  V3 a = unit(axis);
  Q q;
  float s = float(std::sin(angle / 2));
  for (int i = 0; i < 3; ++i)
    q.d[i] = a.d[i] * s;
  q.d[3] = float(std::cos(angle / 2));
  return q;
}
M3 qmat(const Q &q) {
  float x = q.d[0], y = q.d[1], z = q.d[2], w = q.d[3];
  M3 m;
  float v[9] = {1 - 2 * (y * y + z * z), 2 * (x * y + z * w),     2 * (x * z - y * w),
                2 * (x * y - z * w),     1 - 2 * (x * x + z * z), 2 * (y * z + x * w),
                2 * (x * z + y * w),     2 * (y * z - x * w),     1 - 2 * (x * x + y * y)};
  std::memcpy(m.d, v, sizeof v);
  return m;
}
Q mquat(const M3 &m) { // column-major
  auto a = [&](int r, int c) { return double(m.d[c * 3 + r]); };
  double t = a(0, 0) + a(1, 1) + a(2, 2), q[4];
  if (t > 0) {
    double s = std::sqrt(t + 1) * 2;
    q[3] = s / 4;
    q[0] = (a(2, 1) - a(1, 2)) / s;
    q[1] = (a(0, 2) - a(2, 0)) / s;
    q[2] = (a(1, 0) - a(0, 1)) / s;
  } else {
    int i = a(1, 1) > a(0, 0) ? 1 : 0;
    if (a(2, 2) > a(i, i))
      i = 2;
    int j = (i + 1) % 3, k = (i + 2) % 3;
    double s = std::sqrt(1 + a(i, i) - a(j, j) - a(k, k)) * 2;
    q[i] = s / 4;
    q[j] = (a(j, i) + a(i, j)) / s;
    q[k] = (a(k, i) + a(i, k)) / s;
    q[3] = (a(k, j) - a(j, k)) / s;
  }
  Q r;
  for (int i = 0; i < 4; ++i)
    r.d[i] = float(q[i]);
  return r;
}
template <class M> M mmul(const M &a, const M &b, int n) {
  M r;
  for (int c = 0; c < n; ++c)
    for (int i = 0; i < n; ++i) {
      double s = 0;
      for (int k = 0; k < n; ++k)
        s += double(a.d[k * n + i]) * b.d[c * n + k];
      r.d[c * n + i] = decltype(+r.d[0])(s);
    }
  return r;
}
M4 compose(const M3 &r, const V3 &t) {
  M4 m;
  for (int c = 0; c < 3; ++c)
    for (int i = 0; i < 3; ++i)
      m.d[c * 4 + i] = r.d[c * 3 + i];
  for (int i = 0; i < 3; ++i)
    m.d[12 + i] = t.d[i];
  return m;
}
void split(const M4 &m, V3 &t, Q &r, V3 &s) {
  M3 q;
  for (int c = 0; c < 3; ++c) {
    double n = 0;
    for (int i = 0; i < 3; ++i)
      n += double(m.d[c * 4 + i]) * m.d[c * 4 + i];
    n = std::sqrt(n);
    s.d[c] = float(n);
    for (int i = 0; i < 3; ++i)
      q.d[c * 3 + i] = float(m.d[c * 4 + i] / n);
  }
  r = mquat(q);
  for (int i = 0; i < 3; ++i)
    t.d[i] = m.d[12 + i];
}
M4 inverse(const M4 &m) {
  double a[4][8];
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 8; ++c)
      a[r][c] = c < 4 ? m.d[c * 4 + r] : (c - 4 == r);
  for (int c = 0; c < 4; ++c) {
    int p = c;
    for (int r = c; r < 4; ++r)
      if (std::abs(a[r][c]) > std::abs(a[p][c]))
        p = r;
    std::swap(a[p], a[c]);
    double k = a[c][c];
    for (auto &x : a[c])
      x /= k;
    for (int r = 0; r < 4; ++r)
      if (r != c) {
        double f = a[r][c];
        for (int j = 0; j < 8; ++j)
          a[r][j] -= f * a[c][j];
      }
  }
  M4 o;
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c)
      o.d[c * 4 + r] = float(a[r][c + 4]);
  return o;
}
V3 apply(const M4 &m, const V3 &v, double w) {
  V3 r;
  for (int i = 0; i < 3; ++i)
    r.d[i] = float(m.d[i] * v.d[0] + m.d[4 + i] * v.d[1] + m.d[8 + i] * v.d[2] + w * m.d[12 + i]);
  return r;
}
V3 qapply(const Q &q, const V3 &v) {
  M3 m = qmat(q);
  V3 r;
  for (int i = 0; i < 3; ++i)
    r.d[i] = m.d[i] * v.d[0] + m.d[3 + i] * v.d[1] + m.d[6 + i] * v.d[2];
  return r;
}

template <class M, int N, class... B> py::class_<M, B...> mat(py::module_ &m, const char *name) {
  using T = std::remove_reference_t<decltype(std::declval<M &>().d[0])>;
  py::class_<M, B...> c(m, name, py::buffer_protocol());
  c.def(py::init<>())
      .def(py::init<const M &>())
      .def(py::init([](py::buffer b) {
        py::buffer_info i = b.request();
        if (i.ndim != 2 || i.shape[0] != N || i.shape[1] != N)
          throw py::value_error("expected a square matrix");
        M r;
        py::object o = b.attr("__getitem__");
        for (int y = 0; y < N; ++y)
          for (int x = 0; x < N; ++x)
            r.d[x * N + y] = o(py::make_tuple(y, x)).cast<T>();
        return r;
      }))
      .def(py::init([](py::args cols) {
        if (cols.size() != N)
          throw py::value_error("expected columns");
        M r;
        for (int x = 0; x < N; ++x) {
          int y = 0;
          for (auto h : py::iter(cols[x])) {
            if (y >= N)
              throw py::value_error("column too long");
            r.d[x * N + y++] = h.cast<T>();
          }
        }
        return r;
      }))
      .def_buffer([](M &v) {
        return py::buffer_info(v.d, sizeof(T), py::format_descriptor<T>::format(), 2, {N, N},
                               {sizeof(T), sizeof(T) * N});
      })
      .def_static("identity_init", [] { return M(); })
      .def("transposed",
           [](const M &a) {
             M r;
             for (int y = 0; y < N; ++y)
               for (int x = 0; x < N; ++x)
                 r.d[x * N + y] = a.d[y * N + x];
             return r;
           })
      .def(
          "__matmul__", [](const M &a, const M &b) { return mmul(a, b, N); }, py::is_operator())
      .def("__getitem__",
           [](const M &a, int col) {
             if (col < 0 || col >= N)
               throw py::index_error();
             std::conditional_t<N == 3, Vector3<T>, Vector4<T>> v;
             std::memcpy(v.d, a.d + col * N, sizeof v.d);
             return v;
           })
      .def("__getitem__",
           [](const M &a, std::pair<int, int> i) {
             if (i.first < 0 || i.first >= N || i.second < 0 || i.second >= N)
               throw py::index_error();
             return a.d[i.first * N + i.second];
           })
      .def("__eq__",
           [](const M &a, const M &b) {
             for (int i = 0; i < N * N; ++i)
               if (std::abs(double(a.d[i]) - b.d[i]) > 1e-5)
                 return false;
             return true;
           })
      .def("__repr__", [](const M &a) {
        std::ostringstream s;
        s << "Matrix(";
        for (int y = 0; y < N; ++y)
          for (int x = 0; x < N; ++x)
            s << (x + y ? (x ? ", " : ",\n       ") : "") << a.d[x * N + y];
        s << ')';
        return s.str();
      });
  py::implicitly_convertible<py::buffer, M>();
  return c;
}
template <class R, int N> py::class_<R> range(py::module_ &m, const char *name) {
  using V = decltype(R::lo);
  py::class_<R> c(m, name);
  c.def(py::init<>())
      .def(py::init([](const V &a, const V &b) {
        R r;
        r.lo = a;
        r.hi = b;
        return r;
      }))
      .def_static("from_size",
                  [](const V &a, const V &b) {
                    R r;
                    r.lo = a;
                    for (int i = 0; i < N; ++i)
                      r.hi.d[i] = a.d[i] + b.d[i];
                    return r;
                  })
      .def_static("from_center",
                  [](const V &a, const V &b) {
                    R r;
                    for (int i = 0; i < N; ++i) {
                      r.lo.d[i] = a.d[i] - b.d[i];
                      r.hi.d[i] = a.d[i] + b.d[i];
                    }
                    return r;
                  })
      .def_property(
          "min", [](const R &r) { return r.lo; }, [](R &r, const V &v) { r.lo = v; })
      .def_property(
          "max", [](const R &r) { return r.hi; }, [](R &r, const V &v) { r.hi = v; })
      .def("size",
           [](const R &r) {
             V v;
             for (int i = 0; i < N; ++i)
               v.d[i] = r.hi.d[i] - r.lo.d[i];
             return v;
           })
      .def("center",
           [](const R &r) {
             V v;
             for (int i = 0; i < N; ++i)
               v.d[i] = (r.hi.d[i] + r.lo.d[i]) / 2;
             return v;
           })
      .def("contains",
           [](const R &r, const V &p) {
             for (int i = 0; i < N; ++i)
               if (p.d[i] < r.lo.d[i] || p.d[i] >= r.hi.d[i])
                 return false;
             return true;
           })
      .def("__repr__", [](const R &r) { return "Range(" + str("", r.lo) + ", " + str("", r.hi) + ")"; });
  return c;
}
template <class A> py::class_<A> angle(py::module_ &m, const char *n) {
  py::class_<A> c(m, n);
  c.def(py::init<>())
      .def(py::init([](double v) {
        A a;
        a.v = v;
        return a;
      }))
      .def("__float__", [](const A &a) { return a.v; })
      .def("__neg__",
           [](const A &a) {
             A r;
             r.v = -a.v;
             return r;
           })
      .def(
          "__add__",
          [](const A &a, const A &b) {
            A r;
            r.v = a.v + b.v;
            return r;
          },
          py::is_operator())
      .def(
          "__sub__",
          [](const A &a, const A &b) {
            A r;
            r.v = a.v - b.v;
            return r;
          },
          py::is_operator())
      .def(
          "__mul__",
          [](const A &a, double k) {
            A r;
            r.v = a.v * k;
            return r;
          },
          py::is_operator())
      .def(
          "__truediv__",
          [](const A &a, double k) {
            A r;
            r.v = a.v / k;
            return r;
          },
          py::is_operator())
      .def("__lt__", [](const A &a, const A &b) { return a.v < b.v; })
      .def("__gt__", [](const A &a, const A &b) { return a.v > b.v; })
      .def("__eq__", [](const A &a, const A &b) { return a.v == b.v; })
      .def("__repr__", [n = std::string(n)](const A &a) {
        std::ostringstream s;
        s << n << '(' << a.v << ')';
        return s.str();
      });
  return c;
}

PYBIND11_MODULE(_magnum_stand_in, m) {
  namespace SG = Magnum::SceneGraph;
  auto deg = angle<Degd>(m, "Deg");
  auto rad = angle<Radd>(m, "Rad");
  deg.def(py::init([](const Radd &r) {
    Degd d;
    d.v = r.v * 180 / M_PI;
    return d;
  }));
  rad.def(py::init([](const Degd &r) {
    Radd d;
    d.v = r.v * M_PI / 180;
    return d;
  }));
  py::implicitly_convertible<Radd, Degd>();
  py::implicitly_convertible<Degd, Radd>();
  vec<V2>(m, "Vector2");
  vec<V2i>(m, "Vector2i");
  auto v3 = vec<V3>(m, "Vector3");
  vec<V4>(m, "Vector4").def_property_readonly("xyz", [](const V4 &v) {
    V3 r;
    std::memcpy(r.d, v.d, sizeof r.d);
    return r;
  });
  vec<Vector4<double>>(m, "Vector4d");
  vec<Vector3<double>>(m, "Vector3d");
  vec<Vector3<std::uint8_t>>(m, "Color3ub");
  auto axis = [](int i) {
    return [i](float k) {
      V3 v;
      v.d[i] = k;
      return v;
    };
  };
  v3.def_property_readonly("xy", [](const V3 &v) {
    V2 r;
    std::memcpy(r.d, v.d, sizeof r.d);
    return r;
  });
  v3.def_static("x_axis", axis(0), py::arg("length") = 1.f)
      .def_static("y_axis", axis(1), py::arg("length") = 1.f)
      .def_static("z_axis", axis(2), py::arg("length") = 1.f);
  vec<C3, V3>(m, "Color3");
  auto c4 = vec<C4, V4>(m, "Color4");
  c4.def(py::init([](float r, float g, float b, float a) {
           C4 c;
           c.d[0] = r;
           c.d[1] = g;
           c.d[2] = b;
           c.d[3] = a;
           return c;
         }),
         py::arg("r"), py::arg("g"), py::arg("b"), py::arg("alpha") = 1.f);
  auto rgb = [](float r, float g, float b) {
    return [=] {
      C4 c;
      c.d[0] = r;
      c.d[1] = g;
      c.d[2] = b;
      return c;
    };
  };
  c4.def_static("red", rgb(1, 0, 0))
      .def_static("green", rgb(0, 1, 0))
      .def_static("blue", rgb(0, 0, 1))
      .def_static("cyan", rgb(0, 1, 1))
      .def_static("magenta", rgb(1, 0, 1))
      .def_static("yellow", rgb(1, 1, 0));
  range<Range2D<float>, 2>(m, "Range2D");
  range<Range3D<float>, 3>(m, "Range3D");
  auto m3x3 = mat<Matrix<3, float>, 3>(m, "Matrix3x3");
  auto m3 = mat<M3, 3, Matrix<3, float>>(m, "Matrix3");
  auto m4x4 = mat<Matrix<4, float>, 4>(m, "Matrix4x4");
  auto m4 = mat<M4, 4, Matrix<4, float>>(m, "Matrix4");
  mat<M4d, 4>(m, "Matrix4d");

  py::class_<Q>(m, "Quaternion")
      .def(py::init<>())
      .def(py::init<const Q &>())
      .def(py::init([](const V3 &v, float w) {
             Q q;
             std::memcpy(q.d, v.d, 12);
             q.d[3] = w;
             return q;
           }),
           py::arg("vector"), py::arg("scalar"))
      .def(py::init([](std::pair<std::tuple<float, float, float>, float> t) {
        Q q;
        std::tie(q.d[0], q.d[1], q.d[2]) = t.first;
        q.d[3] = t.second;
        return q;
      }))
      .def_static("identity_init", [] { return Q(); })
      .def_static("rotation", [](const Radd &a, const V3 &ax) { return qrot(a.v, ax); })
      .def_static("rotation",
                  [](const V3 &from, const V3 &to) {
                    V3 a = unit(from), b = unit(to), c = cross(a, b);
                    double w = 1 + dot(a, b);
                    Q q;
                    if (w < 1e-7) {
                      V3 o;
                      o.d[std::abs(a.d[0]) < .9 ? 0 : 1] = 1;
                      return qrot(M_PI, cross(a, o));
                    }
                    std::memcpy(q.d, c.d, 12);
                    q.d[3] = float(w);
                    double n = 0;
                    for (float x : q.d)
                      n += double(x) * x;
                    for (float &x : q.d)
                      x = float(x / std::sqrt(n));
                    return q;
                  })
      .def_static("from_matrix",
                  [](const Matrix<3, float> &x) {
                    M3 a;
                    std::memcpy(a.d, x.d, sizeof a.d);
                    return mquat(a);
                  })
      .def_property(
          "vector",
          [](const Q &q) {
            V3 v;
            std::memcpy(v.d, q.d, 12);
            return v;
          },
          [](Q &q, const V3 &v) { std::memcpy(q.d, v.d, 12); })
      .def_property(
          "scalar", [](const Q &q) { return q.d[3]; }, [](Q &q, float w) { q.d[3] = w; })
      .def_property_readonly("xyzw",
                             [](const Q &q) {
                               V4 v;
                               std::memcpy(v.d, q.d, 16);
                               return v;
                             })
      .def("angle",
           [](const Q &q) {
             Radd r;
             r.v = 2 * std::acos(std::min(1.0, std::max(-1.0, double(q.d[3]))));
             return r;
           })
      .def("axis",
           [](const Q &q) {
             V3 v;
             std::memcpy(v.d, q.d, 12);
             return unit(v);
           })
      .def("to_matrix", [](const Q &q) { return qmat(q); })
      .def("length",
           [](const Q &q) {
             double n = 0;
             for (float x : q.d)
               n += double(x) * x;
             return std::sqrt(n);
           })
      .def("normalized",
           [](Q q) {
             double n = 0;
             for (float x : q.d)
               n += double(x) * x;
             for (float &x : q.d)
               x = float(x / std::sqrt(n));
             return q;
           })
      .def("is_normalized",
           [](const Q &q) {
             double n = 0;
             for (float x : q.d)
               n += double(x) * x;
             return std::abs(n - 1) < 2e-5;
           })
      .def("conjugated",
           [](Q q) {
             for (int i = 0; i < 3; ++i)
               q.d[i] = -q.d[i];
             return q;
           })
      .def("inverted_normalized",
           [](Q q) {
             for (int i = 0; i < 3; ++i)
               q.d[i] = -q.d[i];
             return q;
           })
      .def("inverted",
           [](Q q) {
             double n = 0;
             for (float x : q.d)
               n += double(x) * x;
             for (int i = 0; i < 3; ++i)
               q.d[i] = -q.d[i];
             for (float &x : q.d)
               x = float(x / n);
             return q;
           })
      .def("transform_vector", &qapply)
      .def("transform_vector_normalized", &qapply)
      .def("__mul__", &qmul, py::is_operator())
      .def("__neg__",
           [](Q q) {
             for (float &x : q.d)
               x = -x;
             return q;
           })
      .def("__eq__",
           [](const Q &a, const Q &b) {
             for (int i = 0; i < 4; ++i)
               if (std::abs(a.d[i] - b.d[i]) > 1e-5f)
                 return false;
             return true;
           })
      .def("__repr__", [](const Q &q) {
        std::ostringstream s;
        s << "Quaternion({" << q.d[0] << ", " << q.d[1] << ", " << q.d[2] << "}, " << q.d[3] << ')';
        return s.str();
      });

  auto around = [](int i) {
    return [i](const Radd &a) {
      V3 ax;
      ax.d[i] = 1;
      return compose(qmat(qrot(a.v, ax)), V3());
    };
  };
  m4.def_static("_s_translation", [](const V3 &t) { return compose(M3(), t); })
      .def_static("scaling",
                  [](const V3 &s) {
                    M4 r;
                    for (int i = 0; i < 3; ++i)
                      r.d[i * 5] = s.d[i];
                    return r;
                  })
      .def_static("_s_rotation", [](const Radd &a, const V3 &ax) { return compose(qmat(qrot(a.v, ax)), V3()); })
      .def_static("rotation_x", around(0))
      .def_static("rotation_y", around(1))
      .def_static("rotation_z", around(2))
      .def_static("from_",
                  [](const Matrix<3, float> &r, const V3 &t) {
                    M3 a;
                    std::memcpy(a.d, r.d, sizeof a.d);
                    return compose(a, t);
                  })
      .def_static("look_at",
                  [](const V3 &eye, const V3 &target, const V3 &up) {
                    V3 b;
                    for (int i = 0; i < 3; ++i)
                      b.d[i] = eye.d[i] - target.d[i];
                    b = unit(b);
                    V3 r = unit(cross(up, b)), u = cross(b, r);
                    M3 a;
                    std::memcpy(a.d, r.d, 12);
                    std::memcpy(a.d + 3, u.d, 12);
                    std::memcpy(a.d + 6, b.d, 12);
                    return compose(a, eye);
                  })
      .def_property(
          "_i_translation",
          [](const M4 &a) {
            V3 t;
            std::memcpy(t.d, a.d + 12, 12);
            return t;
          },
          [](M4 &a, const V3 &t) { std::memcpy(a.d + 12, t.d, 12); })
      .def("rotation_scaling",
           [](const M4 &a) {
             M3 r;
             for (int c = 0; c < 3; ++c)
               std::memcpy(r.d + 3 * c, a.d + 4 * c, 12);
             return r;
           })
      .def("_i_rotation",
           [](const M4 &a) {
             V3 t, s;
             Q r;
             split(a, t, r, s);
             return qmat(r);
           })
      .def("inverted", &inverse)
      .def("inverted_rigid", &inverse)
      .def("transform_point", [](const M4 &a, const V3 &p) { return apply(a, p, 1); })
      .def("transform_vector", [](const M4 &a, const V3 &p) { return apply(a, p, 0); });
  for (int i = 0; i < 3; ++i) {
    static const char *n[] = {"right", "up", "backward"};
    m4.def_property_readonly(n[i], [i](const M4 &a) {
      V3 v;
      std::memcpy(v.d, a.d + 4 * i, 12);
      return v;
    });
  }
  m3.def(py::init([](const Matrix<3, float> &x) {
    M3 a;
    std::memcpy(a.d, x.d, sizeof a.d);
    return a;
  }));

  py::enum_<PixelFormat>(m, "PixelFormat")
      .value("R8_UNORM", PixelFormat(1))
      .value("RGB8_UNORM", PixelFormat(3))
      .value("RGBA8_UNORM", PixelFormat(4))
      .value("R32UI", PixelFormat(HS_R32UI))
      .value("R32F", PixelFormat(HS_R32F));
  using IV = ImageView<2, char>;
  py::class_<IV>(m, "MutableImageView2D")
      .def(py::init([](PixelFormat f, const V2i &size, py::buffer b) {
             py::buffer_info i = b.request(true);
             IV v;
             v.format = f;
             v.size = size;
             v.pixelSize = f == PixelFormat(1) ? 1 : f == PixelFormat(3) ? 3 : 4;
             std::size_t n = std::size_t(i.itemsize);
             py::ssize_t expect = i.itemsize;
             for (py::ssize_t k = i.ndim; k-- > 0;) {
               if (i.strides[k] != expect)
                 throw py::value_error("the buffer must be C-contiguous");
               expect *= i.shape[k];
               n *= std::size_t(i.shape[k]);
             }
             if (n < std::size_t(v.pixelSize) * size.d[0] * size.d[1])
               throw py::value_error("the buffer is smaller than the image");
             v.data = static_cast<char *>(i.ptr);
             v.bytes = n;
             return v;
           }),
           py::keep_alive<1, 4>())
      .def_property_readonly("size", [](const IV &v) { return v.size; })
      .def_property_readonly("format", [](const IV &v) { return v.format; })
      .def_property_readonly("pixel_size", [](const IV &v) { return v.pixelSize; });

  using AO = SG::AbstractObject<3, float>;
  using Tr = SG::BasicTranslationRotationScalingTransformation3D<float>;
  using OB = SG::Object<Tr>;
  using AF = SG::AbstractFeature<3, float>;
  using CA = SG::Camera<3, float>;
  py::class_<AO, SG::NodeHolder<AO>>(m, "AbstractObject3D")
      .def("transformation_matrix", &AO::doTransformationMatrix)
      .def("absolute_transformation_matrix", &AO::doAbsoluteTransformationMatrix);
  auto ob = py::class_<OB, AO, SG::NodeHolder<OB>>(m, "Object3D")
                .def_property_readonly(
                    "parent", [](OB &o) { return o.doParent(); }, py::return_value_policy::reference)
                .def_property(
                    "translation", [](const OB &o) { return o.t; },
                    [](OB &o, const V3 &v) {
                      o.t = v;
                      o.doSetDirty();
                    })
                .def_property(
                    "rotation", [](const OB &o) { return o.r; },
                    [](OB &o, const Q &q) {
                      o.r = q;
                      o.doSetDirty();
                    })
                .def_property(
                    "scaling", [](const OB &o) { return o.s; },
                    [](OB &o, const V3 &v) {
                      o.s = v;
                      o.doSetDirty();
                    })
                .def_property(
                    "transformation", [](const OB &o) { return o.doTransformationMatrix(); },
                    [](OB &o, const M4 &a) {
                      split(a, o.t, o.r, o.s);
                      o.doSetDirty();
                    })
                .def("absolute_transformation", [](const OB &o) { return o.doAbsoluteTransformationMatrix(); })
                .def("reset_transformation", [](OB &o) { o.doResetTransformation(); })
                .def("translate", [](OB &o, const V3 &v) { o.doTranslate(v); })
                .def("translate_local", [](OB &o, const V3 &v) { o.doTranslateLocal(v); })
                .def("rotate", [](OB &o, const Radd &a, const V3 &ax) { o.doRotate(qrot(a.v, ax)); })
                .def("rotate_local", [](OB &o, const Radd &a, const V3 &ax) { o.doRotateLocal(qrot(a.v, ax)); });
  for (int i = 0; i < 3; ++i) {
    std::string n = std::string("rotate_") + "xyz"[i];
    ob.def(n.c_str(), [i](OB &o, const Radd &a) {
      V3 ax;
      ax.d[i] = 1;
      o.doRotate(qrot(a.v, ax));
    });
    ob.def((n + "_local").c_str(), [i](OB &o, const Radd &a) {
      V3 ax;
      ax.d[i] = 1;
      o.doRotateLocal(qrot(a.v, ax));
    });
  }
  py::class_<AF, SG::NodeHolder<AF>>(m, "AbstractFeature3D")
      .def_property_readonly("object", [](AF &f) { return f.holder; }, py::return_value_policy::reference);
  py::class_<CA, AF, SG::NodeHolder<CA>>(m, "Camera3D");
  m.def("dot", &dot<V3>);
  m.def("cross", &cross);
}
