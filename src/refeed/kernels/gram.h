/* Products of sparse matrices, for one type of number; included once for each (REAL, NAME).

   X has a row a user: `bounds`, `items` (ascending) and `values`. The same pairs sorted by item are `item_bounds`,
   `users` and `order`, their places in the order by user. */

typedef struct {
    int64_t width, first;
    int upper;
    const int32_t *bounds, *rows, *order; /* which rows of the table each row of the product adds up */
    const REAL *values;                   /* and what each counts */
    const int32_t *columns;               /* of the table */
    const int64_t *table_bounds;
    const REAL *table;
    REAL *out;
} NAME(sparse_task);

/* out[i] = the sum over the pairs p of row first + i of values[p] times row rows[p] of a sparse table. If upper, the
   table is X and rows and pairs are X's by item: its row begins at the pair itself, so with the diagonal. */
static inline __attribute__((always_inline)) void NAME(sparse_sums)(const NAME(sparse_task) *t, int64_t i) {
    REAL *out = t->out + i * t->width;
    memset(out, 0, t->width * sizeof *out);
    for (int32_t p = t->bounds[t->first + i]; p < t->bounds[t->first + i + 1]; p++) {
        const int32_t row = t->rows[p], place = t->order ? t->order[p] : p;
        const REAL value = t->values[place];
        const int64_t last = t->table_bounds[row + 1];
        for (int64_t q = t->upper ? place : t->table_bounds[row]; q < last; q++)
            out[t->columns[q]] += value * t->table[q];
    }
}

#define BUNDLE 64 /* items that share a scratch */

typedef struct {
    int64_t n_items, first, n, k;
    const int32_t *bounds, *items, *item_bounds, *users, *order;
    const REAL *values, *lengths; /* of the items: the roots of the diagonal */
    int32_t *neighbours;
    REAL *cosines, *grams;
    int *failed; /* 1 once there was no memory for the scratch of a bundle, whose numbers are missing then */
} NAME(local_task);

static void NAME(fail)(const NAME(local_task) *t) { __atomic_store_n(t->failed, 1, __ATOMIC_RELAXED); }

/* Sift the root of a heap of k (cosine, item) pairs down; the smallest cosine, and of equals the later item, is on
   top. */
static void NAME(sift)(REAL *cosines, int32_t *items, int64_t k, int64_t at) {
    for (;;) {
        int64_t least = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < k; child++)
            if (cosines[child] < cosines[least] ||
                (cosines[child] == cosines[least] && items[child] > items[least]))
                least = child;
        if (least == at) return;
        const REAL cosine = cosines[at];
        const int32_t item = items[at];
        cosines[at] = cosines[least], items[at] = items[least];
        cosines[least] = cosine, items[least] = item;
        at = least;
    }
}

/* The k items with the highest positive cosine to each item of a bundle, in no order; the rest of the room: -1. */
static void NAME(bundle_neighbours)(const NAME(local_task) *t, int64_t bundle) {
    REAL *sums = calloc(t->n_items, sizeof *sums);
    int32_t *touched = malloc(t->n_items * sizeof *touched);
    const int fits = sums && touched;
    if (!fits) NAME(fail)(t);
    for (int64_t i = bundle * BUNDLE; fits && i < t->n && i < (bundle + 1) * BUNDLE; i++) {
        const int64_t item = t->first + i;
        int64_t n_touched = 0;
        for (int32_t p = t->item_bounds[item]; p < t->item_bounds[item + 1]; p++) {
            const REAL value = t->values[t->order[p]];
            for (int32_t q = t->bounds[t->users[p]]; q < t->bounds[t->users[p] + 1]; q++) {
                if (sums[t->items[q]] == 0) touched[n_touched++] = t->items[q];
                sums[t->items[q]] += value * t->values[q];
            }
        }
        REAL *cosines = t->cosines + i * t->k;
        int32_t *neighbours = t->neighbours + i * t->k;
        for (int64_t at = 0; at < t->k; at++) cosines[at] = 0, neighbours[at] = -1;
        for (int64_t at = 0; at < n_touched; at++) {
            const int32_t other = touched[at];
            const REAL cosine = sums[other] / (t->lengths[item] * t->lengths[other]);
            sums[other] = 0;
            if (other == item || !(cosine > cosines[0] || (cosine == cosines[0] && other < neighbours[0]))) continue;
            cosines[0] = cosine, neighbours[0] = other;
            NAME(sift)(cosines, neighbours, t->k, 0);
        }
    }
    free(sums);
    free(touched);
}

#define USERS_AT_ONCE 65536 /* whose counts stay in the processor's cache */

/* What the neighbours of an item have in common, a range of users at a time: for each user in the range the entries of
   X at the neighbours. */
typedef struct {
    int32_t *counts, *touched; /* entries of each user; the users who have any */
    int64_t *ends;             /* of each user's entries */
    int32_t *columns;          /* which neighbour */
    REAL *values;
    int64_t room;
} NAME(overlap);

static int NAME(make_room)(NAME(overlap) * o, int64_t room) {
    if (room <= o->room) return 1;
    free(o->columns), free(o->values);
    o->room = 2 * room;
    o->columns = malloc(o->room * sizeof *o->columns);
    o->values = malloc(o->room * sizeof *o->values);
    if (o->columns && o->values) return 1;
    o->room = 0;
    return 0;
}

/* Add to the upper triangle of the k neighbours' matrix what the users from `first` on have in common. The pairs of
   neighbour a from `from[a]` on, and before `to[a]`, are theirs. */
static void NAME(add_overlap)(const NAME(local_task) *t, NAME(overlap) * o, int64_t k, int64_t first,
                              const int32_t *from, const int32_t *to, REAL *matrix) {
    int64_t touched = 0, total = 0;
    for (int64_t a = 0; a < k; a++)
        for (int32_t p = from[a]; p < to[a]; p++)
            if (!o->counts[t->users[p] - first]++) o->touched[touched++] = (int32_t)(t->users[p] - first);
    for (int64_t at = 0; at < touched; at++) o->ends[o->touched[at]] = total, total += o->counts[o->touched[at]];
    const int fits = NAME(make_room)(o, total);
    if (!fits) NAME(fail)(t);
    for (int64_t a = 0; a < k && fits; a++)
        for (int32_t p = from[a]; p < to[a]; p++) {
            const int64_t place = o->ends[t->users[p] - first]++;
            o->columns[place] = (int32_t)a, o->values[place] = t->values[t->order[p]];
        }
    for (int64_t at = 0, begin = 0; at < touched; at++) {
        const int64_t end = begin + o->counts[o->touched[at]];
        for (int64_t x = begin; x < end && fits; x++) {
            REAL *row = matrix + o->columns[x] * t->k;
            for (int64_t y = x; y < end; y++) row[o->columns[y]] += o->values[x] * o->values[y];
        }
        o->counts[o->touched[at]] = 0, begin = end;
    }
}

/* The Gram matrix of an item's neighbours (ascending; -1 at the end where there are fewer), its lower triangle as
   LAPACK sees it. */
static void NAME(gram_of)(const NAME(local_task) *t, NAME(overlap) * o, const int32_t *neighbours, int32_t *from,
                          int32_t *to, REAL *matrix) {
    int64_t k = 0, first = INT32_MAX;
    memset(matrix, 0, t->k * t->k * sizeof *matrix);
    for (; k < t->k && neighbours[k] >= 0; k++) {
        from[k] = t->item_bounds[neighbours[k]];
        if (from[k] < t->item_bounds[neighbours[k] + 1] && t->users[from[k]] < first) first = t->users[from[k]];
    }
    while (first < INT32_MAX) { /* the next range begins with the first user who is left */
        int64_t next = INT32_MAX;
        for (int64_t a = 0; a < k; a++) {
            const int32_t end = t->item_bounds[neighbours[a] + 1];
            for (to[a] = from[a]; to[a] < end && t->users[to[a]] < first + USERS_AT_ONCE;) to[a]++;
            if (to[a] < end && t->users[to[a]] < next) next = t->users[to[a]];
        }
        NAME(add_overlap)(t, o, k, first, from, to, matrix);
        memcpy(from, to, k * sizeof *from);
        first = next;
    }
}

/* The products of an item's neighbours with the item itself. */
static void NAME(products_of)(const NAME(local_task) *t, int64_t item, const int32_t *neighbours, int32_t *place,
                              REAL *products) {
    memset(products, 0, t->k * sizeof *products);
    for (int64_t a = 0; a < t->k && neighbours[a] >= 0; a++) place[neighbours[a]] = (int32_t)a;
    for (int32_t p = t->item_bounds[item]; p < t->item_bounds[item + 1]; p++)
        for (int32_t q = t->bounds[t->users[p]]; q < t->bounds[t->users[p] + 1]; q++) {
            const int32_t b = place[t->items[q]];
            if (b >= 0) products[b] += t->values[t->order[p]] * t->values[q];
        }
    for (int64_t a = 0; a < t->k && neighbours[a] >= 0; a++) place[neighbours[a]] = -1;
}

/* Both of the items of a bundle; the products in `cosines`. */
static void NAME(bundle_grams)(const NAME(local_task) *t, int64_t bundle) {
    NAME(overlap) o = {.counts = calloc(USERS_AT_ONCE, sizeof *o.counts),
                       .touched = malloc(USERS_AT_ONCE * sizeof *o.touched),
                       .ends = malloc(USERS_AT_ONCE * sizeof *o.ends)};
    int32_t *place = malloc(t->n_items * sizeof *place), *ranges = malloc(2 * t->k * sizeof *ranges);
    if (place) memset(place, 0xff, t->n_items * sizeof *place);
    const int fits = place && ranges && o.counts && o.touched && o.ends;
    if (!fits) NAME(fail)(t);
    for (int64_t i = bundle * BUNDLE; fits && i < t->n && i < (bundle + 1) * BUNDLE; i++) {
        const int32_t *neighbours = t->neighbours + i * t->k;
        NAME(gram_of)(t, &o, neighbours, ranges, ranges + t->k, t->grams + i * t->k * t->k);
        NAME(products_of)(t, t->first + i, neighbours, place, t->cosines + i * t->k);
    }
    free(place), free(ranges), free(o.counts), free(o.touched), free(o.ends), free(o.columns), free(o.values);
}

static void NAME(neighbours_of)(const void *task, int64_t from, int64_t to) {
    for (int64_t bundle = from; bundle < to; bundle++) NAME(bundle_neighbours)(task, bundle);
}

static void NAME(grams_of)(const void *task, int64_t from, int64_t to) {
    for (int64_t bundle = from; bundle < to; bundle++) NAME(bundle_grams)(task, bundle);
}
