/* The sparse products of a training step (refeed/model/sparse.py), for processors.

   Plain C without any header of PyTorch or Python. Each call is cut into chunks of rows, which the threads of the
   OpenMP runtime that PyTorch has loaded already take in turn; the caller hands over its `GOMP_parallel`. A row is
   summed by one thread in the order of its pairs, so the numbers don't depend on the threads. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD 4 /* pairs: how far rows are fetched into the cache before they are used */
#define CHUNK 8 /* rows that a thread takes at a time */

typedef void (*parallel)(void (*work)(void *), void *data, unsigned threads, unsigned flags);

typedef struct {
    int64_t next; /* the first row that nobody has taken */
    int64_t n;
    const void *task;
    void (*some)(const void *task, int64_t from, int64_t to);
} job;

static void take_chunks(void *data) {
    job *j = data;
    for (;;) {
        const int64_t from = __atomic_fetch_add(&j->next, CHUNK, __ATOMIC_RELAXED);
        if (from >= j->n) return;
        j->some(j->task, from, from + CHUNK < j->n ? from + CHUNK : j->n);
    }
}

static void run(void (*some)(const void *, int64_t, int64_t), const void *task, int64_t n, parallel start,
                int threads) {
    job j = {0, n, task, some};
    if (start && threads > 1 && n > CHUNK)
        start(take_chunks, &j, (unsigned)threads, 0);
    else
        take_chunks(&j);
}

typedef float floats __attribute__((vector_size(64)));
typedef double doubles __attribute__((vector_size(64)));

#define REAL float
#define VECTOR floats
#define NAME(x) x##_float32
#define SQRT __builtin_sqrtf
#include "gram.h"
#include "rows.h"
#include "updates.h"
#undef REAL
#undef VECTOR
#undef NAME
#undef SQRT
#define REAL double
#define VECTOR doubles
#define NAME(x) x##_float64
#define SQRT __builtin_sqrt
#include "gram.h"
#include "rows.h"
#include "updates.h"

/* Each loop compiled for three generations of x86 processors, the best one chosen when called. */
#define LOOP(name, type, suffix, target)                                                          \
    target static void name##_##type##suffix(const void *task, int64_t from, int64_t to) {        \
        for (int64_t i = from; i < to; i++) name##_##type(task, i);                               \
    }
#if defined(__x86_64__) && defined(__GNUC__)
#define LOOPS(name, type)                                                                         \
    LOOP(name, type, _v4, __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))) \
    LOOP(name, type, _v3, __attribute__((target("avx2,fma"))))                                    \
    LOOP(name, type, _v1, )
#define BEST(name, type)                                                                          \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? name##_##type##_v4 \
     : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")       ? name##_##type##_v3 \
                                                                             : name##_##type##_v1)
#else
#define LOOPS(name, type) LOOP(name, type, _v1, )
#define BEST(name, type) name##_##type##_v1
#endif

#define EXPORT(type, real)                                                                                        \
    LOOPS(sums, type)                                                                                             \
    LOOPS(dots, type)                                                                                             \
    /* out[i] = sum of values[order[p]] * table[rows[p]] over the pairs p of i; order NULL: values[p]. */         \
    void refeed_sums_##type(int64_t n, int64_t width, const int32_t *bounds, const int32_t *rows,                 \
                            const int32_t *order, const real *values, const real *table, real *out,               \
                            parallel start, int threads) {                                                        \
        const task_##type t = {n, width, bounds, rows, order, values, table, 0, out};                             \
        run(BEST(sums, type), &t, n, start, threads);                                                             \
    }                                                                                                             \
    /* out[p] = hidden[i] . table[rows[p]] for the pairs p of i. */                                               \
    void refeed_dots_##type(int64_t n, int64_t width, const int32_t *bounds, const int32_t *rows,                 \
                            const real *hidden, const real *table, real *out, parallel start, int threads) {      \
        const task_##type t = {n, width, bounds, rows, 0, 0, table, hidden, out};                                 \
        run(BEST(dots, type), &t, n, start, threads);                                                             \
    }
EXPORT(float32, float)
EXPORT(float64, double)

/* Products of sparse matrices (gram.h). */
#define SPARSE(type, real)                                                                                         \
    LOOPS(sparse_sums, type)                                                                                       \
    void refeed_sparse_sums_##type(int64_t n, int64_t width, int64_t first, int upper, const int32_t *bounds,      \
                                   const int32_t *rows, const int32_t *order, const real *values,                  \
                                   const int64_t *table_bounds, const int32_t *columns, const real *table,         \
                                   real *out, parallel start, int threads) {                                       \
        const sparse_task_##type t = {width,  first,   upper,        bounds, rows, order,                          \
                                      values, columns, table_bounds, table,  out};                                 \
        run(BEST(sparse_sums, type), &t, n, start, threads);                                                       \
    }                                                                                                              \
    /* The k nearest items of the items first to first + n; grams 0. Or, of given neighbours, their matrices.         \
       0, or 1 if there was not enough memory. */                                                                  \
    int refeed_nearest_##type(int64_t n, int64_t n_items, int64_t first, int64_t k, const int32_t *bounds,          \
                             const int32_t *items, const int32_t *item_bounds, const int32_t *users,               \
                             const int32_t *order, const real *values, const real *lengths, int32_t *neighbours,   \
                             real *cosines, real *grams, parallel start, int threads) {                            \
        int failed = 0;                                                                                            \
        const local_task_##type t = {n_items, first,  n,       k,          bounds,  items, item_bounds, users,     \
                                     order,   values, lengths, neighbours, cosines, grams, &failed};               \
        run(grams ? grams_of_##type : neighbours_of_##type, &t, (n + BUNDLE - 1) / BUNDLE, start, threads);        \
        return failed;                                                                                             \
    }
SPARSE(float32, float)
SPARSE(float64, double)

/* Optimizer steps: the loops over the rows that a call is about, each fetching a row ahead. */
#define UPDATE(name, type, real)                                                                               \
    static inline __attribute__((always_inline)) void ahead_##name##_##type(const update_##type *t, int64_t i) { \
        fetch_##type(t, i + 1);                                                                                \
        name##_##type(t, i);                                                                                   \
    }                                                                                                          \
    LOOPS(ahead_##name, type)                                                                                  \
    void refeed_##name##_##type(int64_t n, int64_t width, int64_t columns, const int64_t *rows,                \
                                const real *given, real *weight, real *first, real *second, const double *s,   \
                                parallel start, int threads) {                                                 \
        const update_##type t = {n,          width,      columns,    rows,       given,      weight, first, second, \
                                 (real)s[0], (real)s[1], (real)s[2], (real)s[3], (real)s[4], (real)s[5], (real)s[6]};      \
        run(BEST(ahead_##name, type), &t, n, start, threads);                                                  \
    }
#define UPDATES(name) UPDATE(name, float32, float) UPDATE(name, float64, double)
UPDATES(momentum_skip)
UPDATES(momentum_step)
UPDATES(adamw_skip)
UPDATES(adamw_step)

/* The pairs, given by user, sorted by item (a counting sort, stable): where each item's pairs start, and the user
   and the place in the order by user of each. `starts` has n_items + 1 entries. */
void refeed_by_item(int64_t n_users, int64_t n_items, const int32_t *bounds, const int32_t *items,
                    int32_t *starts, int32_t *users, int32_t *order) {
    memset(starts, 0, (n_items + 1) * sizeof *starts);
    const int32_t pairs = bounds[n_users];
    for (int32_t p = 0; p < pairs; p++) starts[items[p] + 1]++;
    for (int64_t i = 0; i < n_items; i++) starts[i + 1] += starts[i];
    for (int64_t u = 0; u < n_users; u++)
        for (int32_t p = bounds[u]; p < bounds[u + 1]; p++) {
            const int32_t at = starts[items[p]]++;
            users[at] = (int32_t)u;
            order[at] = p;
        }
    /* Every start has moved to its item's end, which is the start of the next. */
    memmove(starts + 1, starts, n_items * sizeof *starts);
    starts[0] = 0;
}
