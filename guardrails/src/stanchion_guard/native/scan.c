/* What the light checks of a text do for each of its characters: the linear classifiers' features and sums, where the
   digits stand, and which looks a text needs at all. `features.py`, `linear.py`, `scanning.py` say the same in Python
   and are the reference: every number that comes out of here is theirs to the last bit.

   Texts are attackers'. Nothing is read but [0, length) of a buffer whose length its owner told, every index into a
   table is masked or clipped to its size, signed arithmetic stays far from its bounds, and memory is linear in the
   text. Compile without contraction of floating point (-ffp-contract=off). */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef SOURCE
#define SOURCE "unknown"
#endif

enum { API = 4, KINDS = 5, MOST_TARGETS = 16, WINDOWS = 3, LONGEST = 40, SHORTEST = 4, STEM_LETTERS = 5 };
enum { PLANE = 1 << 16, CLASS_SLOTS = 1 << 16, PRONOUN_SLOTS = 1 << 10, GROUP = 1, PERSON = 2 };
#define LETTER ((uint32_t)1 << 16)
#define STOP ((uint32_t)1 << 17)
#define SIGN (STOP - 1)
#define IDEOGRAPHS_FROM (LETTER | 0x3040u)
#define IDEOGRAPHS_TO (LETTER | 0xA000u)
#define MULTIPLIER 0x01000193u
#define SKIP 0x5BD1E995u
#define FINISH 0x85EBCA6Bu
#define STEM 0x9E3779B9u
#define RELEASE_FROM 20000

static const int BITS[KINDS] = {17, 16, 17, 16, 10};
static const Py_ssize_t SIZES[WINDOWS] = {1, 4, 16};

/* ---- the model: tables that Python owns, held by their buffers */

enum { FOLDING, CLASSES, PRONOUNS, TABLE, SCALES, MASKS, WEIGHTS, BIASES, SLOPES, CENTRES, LENGTH_SLOPES, BUFFERS };

typedef struct {
    PyObject_HEAD
    Py_buffer held[BUFFERS];
    int count; /* of buffers held */
    int targets;
    Py_ssize_t masks;
    uint32_t identity;
} Model;

static int fits(const Py_buffer *view, Py_ssize_t size, size_t alignment, const char *name) {
    if (view->len == size && (uintptr_t)view->buf % alignment == 0) return 1;
    PyErr_Format(PyExc_ValueError, "the table %s has %zd bytes, not %zd, or is not aligned", name, view->len, size);
    return 0;
}

static int sound(const Model *self) {
    const Py_buffer *held = self->held;
    Py_ssize_t rows = 0, targets = self->targets, wide = targets * (Py_ssize_t)sizeof(float);
    for (int kind = 0; kind < KINDS; kind++) rows += (Py_ssize_t)1 << BITS[kind];
    if (!fits(&held[FOLDING], PLANE * 4, 4, "folding") || !fits(&held[CLASSES], CLASS_SLOTS * 8, 8, "classes") ||
        !fits(&held[PRONOUNS], PRONOUN_SLOTS * 4, 4, "pronouns") || !fits(&held[TABLE], rows * targets, 1, "table") ||
        !fits(&held[SCALES], wide, 4, "scales") || !fits(&held[MASKS], self->masks * 4, 4, "masks") ||
        !fits(&held[WEIGHTS], self->masks * wide, 4, "weights") || !fits(&held[BIASES], WINDOWS * wide, 4, "biases") ||
        !fits(&held[SLOPES], wide, 4, "slopes") || !fits(&held[CENTRES], wide, 4, "centres") ||
        !fits(&held[LENGTH_SLOPES], wide, 4, "length slopes"))
        return 0;
    for (Py_ssize_t at = 0; at < self->masks; at++) {
        if (((const uint32_t *)held[MASKS].buf)[at] == 0) {
            PyErr_SetString(PyExc_ValueError, "a mask of no class");
            return 0;
        }
    }
    return 1;
}

static PyObject *model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *given[BUFFERS];
    unsigned int identity;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OOOOOOOOOOOI", &given[0], &given[1], &given[2], &given[3], &given[4], &given[5],
                          &given[6], &given[7], &given[8], &given[9], &given[10], &identity))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Model *self = (Model *)allocate(type, 0);
    if (self == NULL) return NULL;
    self->count = 0;
    self->identity = identity;
    for (int at = 0; at < BUFFERS; at++) {
        if (PyObject_GetBuffer(given[at], &self->held[at], PyBUF_SIMPLE) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->count++;
    }
    Py_ssize_t targets = self->held[SCALES].len / (Py_ssize_t)sizeof(float);
    self->masks = self->held[MASKS].len / 4;
    if (targets < 1 || targets > MOST_TARGETS) {
        PyErr_SetString(PyExc_ValueError, "the model has no target or too many");
        Py_DECREF(self);
        return NULL;
    }
    self->targets = (int)targets;
    if (!sound(self)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void model_dealloc(PyObject *object) {
    Model *self = (Model *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (int at = 0; at < self->count; at++) PyBuffer_Release(&self->held[at]);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

/* ---- words */

typedef struct {
    int64_t start, end;
    uint32_t hash, stem, gap, mask; /* `gap`: the signs after the word */
} Word;

typedef struct {
    const unsigned char *bytes; /* one byte a character, all below 128, or */
    const uint32_t *codes;      /* one number a character; the other is NULL */
    Py_ssize_t length;
    const uint32_t *folding;
} Text;

static inline uint32_t sign_at(const Text *text, Py_ssize_t at) {
    uint32_t code = text->bytes != NULL ? text->bytes[at] : text->codes[at];
    return text->folding[code < PLANE ? code : PLANE - 1];
}

static inline int is_alone(uint32_t sign) { return sign >= IDEOGRAPHS_FROM && sign < IDEOGRAPHS_TO; }

/* Fills `words`, which has room for one a character, and `breaks`: for each stop the count of words that began before
   it, each count once; beyond ASCII a stop can be a letter, too. Returns the count of words. */
static inline Py_ssize_t read_words(const Text *text, Word *words, Py_ssize_t *breaks, Py_ssize_t *broken, int wide) {
    Py_ssize_t count = 0, stops = 0, last_break = -1, at = 0;
    uint32_t sign = 0;
    for (;;) {
        uint32_t gap = 0, hash = 0, stem = 0, power = 1;
        for (; at < text->length && !((sign = sign_at(text, at)) & LETTER); at++, power *= MULTIPLIER) {
            if ((sign & STOP) != 0 && count != last_break) breaks[stops++] = last_break = count;
            gap += (sign & SIGN) * power;
        }
        if (at == text->length) break;
        if (wide && (sign & STOP) != 0 && count != last_break) breaks[stops++] = last_break = count;
        if (count > 0) words[count - 1].gap = gap;
        Word *word = &words[count++];
        Py_ssize_t letters = 0;
        int alone;
        word->start = at;
        power = 1;
        do {
            if (wide && letters > 0 && (sign & STOP) != 0 && count != last_break) breaks[stops++] = last_break = count;
            if (letters == STEM_LETTERS) stem = hash;
            letters++;
            hash += (sign & SIGN) * power;
            power *= MULTIPLIER;
            alone = wide && is_alone(sign);
            sign = ++at < text->length ? sign_at(text, at) : 0;
        } while ((sign & LETTER) && !alone && !(wide && is_alone(sign)));
        word->end = at;
        word->hash = hash;
        word->stem = (letters <= STEM_LETTERS ? hash : stem) ^ STEM;
    }
    if (count > 0) words[count - 1].gap = 0;
    *broken = stops;
    return count;
}

/* Indexes of the words that begin a segment, and the count of words behind them. Returns the count of segments. */
static Py_ssize_t cut(Py_ssize_t count, const Py_ssize_t *breaks, Py_ssize_t broken, int64_t *firsts) {
    Py_ssize_t chosen = 1;
    firsts[0] = 0;
    for (Py_ssize_t at = 0; at <= broken; at++) {
        Py_ssize_t word = at < broken ? breaks[at] : count;
        while (word - firsts[chosen - 1] > LONGEST) {
            firsts[chosen] = firsts[chosen - 1] + LONGEST;
            chosen++;
        }
        if (word - firsts[chosen - 1] >= SHORTEST && count - word >= SHORTEST) firsts[chosen++] = word;
    }
    firsts[chosen] = count;
    return chosen;
}

static void classify(const Model *self, Word *words, Py_ssize_t count) {
    const uint64_t *table = (const uint64_t *)self->held[CLASSES].buf;
    const uint32_t *pronouns = (const uint32_t *)self->held[PRONOUNS].buf;
    for (Py_ssize_t at = 0; at < count; at++) {
        Word *word = &words[at];
        uint64_t whole = table[word->hash & (CLASS_SLOTS - 1)], stem = table[word->stem & (CLASS_SLOTS - 1)];
        int person = pronouns[word->hash & (PRONOUN_SLOTS - 1)] == word->hash;
        word->mask = 0;
        if ((uint32_t)(whole >> 32) == word->hash) word->mask |= (uint32_t)whole;
        if ((uint32_t)(stem >> 32) == word->stem) word->mask |= (uint32_t)stem;
        if (word->mask & self->identity) word->hash = word->stem = GROUP;
        if (person) word->hash = word->stem = PERSON;
    }
}

static inline uint32_t row_of(uint32_t hash, int kind) {
    hash ^= hash >> 15;
    hash *= FINISH;
    return hash >> (32 - BITS[kind]);
}

static inline void rows_of(const Word *words, Py_ssize_t count, Py_ssize_t at, uint32_t *rows) {
    uint32_t hash = words[at].hash, pair = hash * MULTIPLIER, skip = (hash ^ SKIP) * MULTIPLIER, offset = 0;
    if (at + 1 < count) pair += words[at + 1].hash;
    if (at + 2 < count) skip += words[at + 2].hash;
    uint32_t hashes[KINDS] = {hash, words[at].stem, pair, skip, words[at].gap};
    for (int kind = 0; kind < KINDS; kind++) {
        rows[kind] = offset + row_of(hashes[kind], kind);
        offset += (uint32_t)1 << BITS[kind];
    }
}

/* ---- sums */

enum { AHEAD = 8 };
/* Words whose rows are asked of memory before they are added up: the table is larger than the nearer caches. */

static inline void fetch_rows(const Word *words, Py_ssize_t count, Py_ssize_t at, const int8_t *table, int targets,
                              uint32_t *rows) {
    rows_of(words, count, at, rows);
#if defined(__GNUC__)
    for (int kind = 0; kind < KINDS; kind++) __builtin_prefetch(table + (size_t)rows[kind] * (size_t)targets);
#else
    (void)table, (void)targets;
#endif
}

/* One row for each segment and one before them: running sums of each target, then of words. */
static inline void add_up(const Model *self, const Word *words, const int64_t *firsts, Py_ssize_t segments,
                          const int targets, uint32_t *classes, double *sums) {
    const int8_t *table = (const int8_t *)self->held[TABLE].buf;
    const float *scales = (const float *)self->held[SCALES].buf, *weights = (const float *)self->held[WEIGHTS].buf;
    const uint32_t *masks = (const uint32_t *)self->held[MASKS].buf;
    const Py_ssize_t count = (Py_ssize_t)firsts[segments];
    const int width = targets + 1;
    uint32_t ahead[AHEAD][KINDS];
    for (Py_ssize_t word = 0; word < AHEAD && word < count; word++) {
        fetch_rows(words, count, word, table, targets, ahead[word]);
    }
    for (int target = 0; target < width; target++) sums[target] = 0.0;
    for (Py_ssize_t at = 0; at < segments; at++) {
        int32_t found[MOST_TARGETS] = {0};
        float present[MOST_TARGETS] = {0};
        uint32_t mask = 0;
        for (Py_ssize_t word = (Py_ssize_t)firsts[at]; word < (Py_ssize_t)firsts[at + 1]; word++) {
            uint32_t *rows = ahead[word % AHEAD];
            int16_t five[MOST_TARGETS] = {0}; /* of KINDS rows: no such sum is beyond it */
            mask |= words[word].mask;
            for (int kind = 0; kind < KINDS; kind++) {
                const int8_t *row = table + (size_t)rows[kind] * (size_t)targets;
                for (int target = 0; target < targets; target++) five[target] = (int16_t)(five[target] + row[target]);
            }
            for (int target = 0; target < targets; target++) found[target] += five[target];
            if (word + AHEAD < count) fetch_rows(words, count, word + AHEAD, table, targets, rows);
        }
        classes[at] = mask;
        for (Py_ssize_t one = 0; mask != 0 && one < self->masks; one++) {
            if ((mask & masks[one]) == masks[one]) {
                const float *row = weights + one * targets;
                for (int target = 0; target < targets; target++) present[target] += row[target];
            }
        }
        const double *before = sums + at * width;
        double *after = sums + (at + 1) * width;
        for (int target = 0; target < targets; target++) {
            double value = (double)found[target] * (double)scales[target] + (double)present[target];
            after[target] = at == 0 ? value : before[target] + value;
        }
        after[targets] = (double)firsts[at + 1];
    }
}

/* The loudest window of each target: its logit, its first segment and the one after its last. */
static inline void loudest(const Model *self, const double *sums, Py_ssize_t segments, const int targets, double *best,
                           Py_ssize_t *first, Py_ssize_t *after) {
    const float *biases = (const float *)self->held[BIASES].buf;
    const int width = targets + 1;
    int begun = 0;
    for (int size = 0; size < WINDOWS && (size == 0 || segments > SIZES[size - 1]); size++) {
        Py_ssize_t starts = (segments > SIZES[size] ? segments - SIZES[size] : 0) + 1;
        for (Py_ssize_t start = 0; start < starts; start++) {
            Py_ssize_t end = start + SIZES[size] < segments ? start + SIZES[size] : segments;
            const double *from = sums + start * width, *to = sums + end * width;
            double length = sqrt(to[targets] - from[targets]);
            for (int target = 0; target < targets; target++) {
                double logit = (to[target] - from[target]) / length + (double)biases[size * targets + target];
                if (!begun || logit > best[target]) {
                    best[target] = logit;
                    first[target] = start;
                    after[target] = end;
                }
            }
            begun = 1;
        }
    }
}

/* What the logistic function is taken of, its sign turned. */
static void exponents(const Model *self, Py_ssize_t segments, double *best) {
    const float *slopes = (const float *)self->held[SLOPES].buf, *centres = (const float *)self->held[CENTRES].buf;
    const float *length_slopes = (const float *)self->held[LENGTH_SLOPES].buf;
    const float length = (float)log((double)segments);
    for (int target = 0; target < self->targets; target++) {
        float slope = length_slopes[target] * length;
        double value = (double)slopes[target] * (best[target] - (double)centres[target] - (double)slope);
        value = value < -30.0 ? -30.0 : value;
        best[target] = -(value > 30.0 ? 30.0 : value);
    }
}

typedef struct {
    Word *words;
    Py_ssize_t *breaks;
    int64_t *firsts;
    uint32_t *classes;
    double *sums;
    Py_ssize_t count, segments;
    double best[MOST_TARGETS];
    Py_ssize_t first[MOST_TARGETS], after[MOST_TARGETS];
} Work;

static void drop(Work *work) {
    free(work->words);
    free(work->breaks);
    free(work->firsts);
    free(work->classes);
    free(work->sums);
}

/* 0 where memory ran out. */
static int judge(const Model *self, const Text *text, Work *work) {
    const int targets = self->targets;
    size_t room = (size_t)text->length / (text->bytes != NULL ? 2 : 1) + 1;
    Py_ssize_t broken;
    work->words = malloc(room * sizeof(Word));
    work->breaks = malloc((room + 1) * sizeof(Py_ssize_t));
    if (work->words == NULL || work->breaks == NULL) return 0;
    work->count = text->bytes != NULL ? read_words(text, work->words, work->breaks, &broken, 0)
                                      : read_words(text, work->words, work->breaks, &broken, 1);
    if (work->count == 0) return 1;
    size_t most = (size_t)work->count / SHORTEST + 2; /* segments: all have SHORTEST words but the last */
    work->firsts = malloc((most + 1) * sizeof(int64_t));
    if (work->firsts == NULL) return 0;
    work->segments = cut(work->count, work->breaks, broken, work->firsts);
    work->classes = malloc((size_t)work->segments * sizeof(uint32_t));
    work->sums = malloc(((size_t)work->segments + 1) * (size_t)(targets + 1) * sizeof(double));
    if (work->classes == NULL || work->sums == NULL) return 0;
    classify(self, work->words, work->count);
    if (targets == 8) {
        add_up(self, work->words, work->firsts, work->segments, 8, work->classes, work->sums);
        loudest(self, work->sums, work->segments, 8, work->best, work->first, work->after);
    } else {
        add_up(self, work->words, work->firsts, work->segments, targets, work->classes, work->sums);
        loudest(self, work->sums, work->segments, targets, work->best, work->first, work->after);
    }
    exponents(self, work->segments, work->best);
    return 1;
}

/* ---- answers */

static PyObject *integers(const Py_ssize_t *values, int count, Py_ssize_t less) {
    PyObject *list = PyList_New(count);
    for (int at = 0; list != NULL && at < count; at++) {
        PyObject *value = PyLong_FromSsize_t(values[at] - less);
        if (value == NULL || PyList_SetItem(list, at, value) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *ranges(const Work *work) {
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, work->count * 2 * (Py_ssize_t)sizeof(int64_t));
    if (bytes == NULL) return NULL;
    char *out = PyBytes_AsString(bytes);
    for (Py_ssize_t at = 0; at < work->count; at++) {
        memcpy(out + (size_t)at * 16, &work->words[at].start, 8);
        memcpy(out + (size_t)at * 16 + 8, &work->words[at].end, 8);
    }
    return bytes;
}

static PyObject *answer(const Work *work, int targets) {
    Py_ssize_t segments = work->segments, width = targets + 1;
    if (work->count == 0) Py_RETURN_NONE;
    PyObject *parts[7] = {
        PyBytes_FromStringAndSize((const char *)work->best, targets * (Py_ssize_t)sizeof(double)),
        integers(work->first, targets, 0),
        integers(work->after, targets, 1),
        PyBytes_FromStringAndSize((const char *)work->sums, (segments + 1) * width * (Py_ssize_t)sizeof(double)),
        PyBytes_FromStringAndSize((const char *)work->firsts, (segments + 1) * (Py_ssize_t)sizeof(int64_t)),
        PyBytes_FromStringAndSize((const char *)work->classes, segments * (Py_ssize_t)sizeof(uint32_t)),
        ranges(work),
    };
    PyObject *tuple = PyTuple_New(7);
    int whole = tuple != NULL;
    for (int at = 0; at < 7; at++) {
        if (parts[at] == NULL) whole = 0;
        if (tuple != NULL && parts[at] != NULL) PyTuple_SetItem(tuple, at, parts[at]);
        else Py_XDECREF(parts[at]);
    }
    if (whole) return tuple;
    Py_XDECREF(tuple);
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

static PyObject *model_score(PyObject *object, PyObject *args) {
    Model *self = (Model *)object;
    Py_buffer given;
    int wide;
    if (!PyArg_ParseTuple(args, "y*p", &given, &wide)) return NULL;
    Text text = {NULL, NULL, given.len, (const uint32_t *)self->held[FOLDING].buf};
    Work work;
    memset(&work, 0, sizeof(work));
    if (given.len > PY_SSIZE_T_MAX / (Py_ssize_t)(2 * sizeof(Word))) {
        PyBuffer_Release(&given);
        return PyErr_NoMemory();
    }
    if (wide) {
        if (given.len % 4 != 0 || (uintptr_t)given.buf % 4 != 0) {
            PyBuffer_Release(&given);
            PyErr_SetString(PyExc_ValueError, "the text is not in whole, aligned numbers of four bytes");
            return NULL;
        }
        text.codes = (const uint32_t *)given.buf;
        text.length = given.len / 4;
    } else {
        text.bytes = (const unsigned char *)given.buf;
    }
    int done;
    if (text.length > RELEASE_FROM) {
        Py_BEGIN_ALLOW_THREADS
        done = judge(self, &text, &work);
        Py_END_ALLOW_THREADS
    } else {
        done = judge(self, &text, &work);
    }
    PyBuffer_Release(&given);
    PyObject *found = done ? answer(&work, self->targets) : PyErr_NoMemory();
    drop(&work);
    return found;
}

static PyMethodDef model_methods[] = {
    {"score", model_score, METH_VARARGS, "The loudest windows of a text, and the running sums that they come from."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_new, model_new}, {Py_tp_dealloc, model_dealloc}, {Py_tp_methods, model_methods}, {0, NULL},
};

static PyType_Spec model_spec = {
    "stanchion_guard.native._scan.Model", sizeof(Model), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, model_slots,
};

/* ---- where digits stand */

/* Where the next digit from `at` on stands, or the end. */
static Py_ssize_t next_digit(const unsigned char *data, Py_ssize_t length, Py_ssize_t at) {
    enum { LEAP = 32 };
    for (; at + LEAP <= length; at += LEAP) {
        unsigned char any = 0;
        for (int one = 0; one < LEAP; one++) any |= (unsigned char)(data[at + one] - '0') < 10;
        if (any) break;
    }
    while (at < length && (unsigned char)(data[at] - '0') >= 10) at++;
    return at;
}

static PyObject *around_digits(PyObject *module, PyObject *args) {
    Py_buffer given;
    Py_ssize_t before, after;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*nn", &given, &before, &after)) return NULL;
    PyObject *list = PyList_New(0);
    const unsigned char *data = (const unsigned char *)given.buf;
    const Py_ssize_t most = PY_SSIZE_T_MAX / 4;
    if (list != NULL && (before < 0 || after < 0 || before > most || after > most)) {
        PyErr_SetString(PyExc_ValueError, "a distance below zero, or beyond any text");
        Py_CLEAR(list);
    }
    Py_ssize_t first = -1, last = -1, digits = 0;
    for (Py_ssize_t at = 0; list != NULL && at <= given.len; at++) {
        at = next_digit(data, given.len, at);
        int ends = at == given.len;
        if (digits > 0 && (ends || at - last > before + after)) {
            Py_ssize_t start = first > before ? first - before : 0;
            Py_ssize_t end = given.len - last > after + 1 ? last + after + 1 : given.len;
            PyObject *area = Py_BuildValue("(nnnn)", start, end, digits, last + 1);
            if (area == NULL || PyList_Append(list, area) < 0) Py_CLEAR(list);
            Py_XDECREF(area);
            digits = 0;
        }
        if (ends) break;
        if (digits == 0) first = at;
        last = at;
        digits++;
    }
    PyBuffer_Release(&given);
    return list;
}

/* ---- which looks a text needs */

enum { CONTROLS = 1, SQUEEZED = 2, ESCAPED = 4, BASE64 = 8, PAIRS = 16 };
enum { HEX = 1, RUN = 2, LATIN = 4, LEET = 8, UNIT = 16, BREAK = 32, CONTROL = 64, CODE = 128, SHORTEST_RUN = 16 };
enum { BLOCK = 8, PAIRS_LEAST = 8, SAMPLE = 64 };

/* What an ASCII character can be a part of. HEX: of pairs of digits with a sign between. RUN: of base64. LEET: stands
   for a letter inside a word. UNIT: is a spaced-out letter; BREAK: stands between such. CODE: a sign of an encoding. */
static unsigned char kinds_of[256];

static void learn_kinds(void) {
    for (int code = 0; code < 256; code++) {
        int digit = code >= '0' && code <= '9', lower = code | 32, written = code != 0 && code < 128;
        int latin = written && lower >= 'a' && lower <= 'z', kinds = 0;
        if (digit || (latin && lower <= 'f') || (written && strchr(" :,", code))) kinds |= HEX;
        if (digit || latin || (written && strchr("+/_-", code))) kinds |= RUN;
        if (latin) kinds |= LATIN;
        if (written && strchr("013457@$!|", code)) kinds |= LEET;
        if (latin || (written && strchr("0134578@$!", code))) kinds |= UNIT;
        if (written && strchr(" ._-*|/+~,", code)) kinds |= BREAK;
        if (code == 127 || (code < 32 && code != '\t' && code != '\n' && code != '\f' && code != '\r')) kinds |= CONTROL;
        if (written && strchr("%&\\", code)) kinds |= CODE;
        kinds_of[code] = (unsigned char)kinds;
    }
}

/* The run of the kind that holds [at, at + 8), but no more than `most` characters before that. */
static void run_around(const unsigned char *data, Py_ssize_t length, int kind, Py_ssize_t most, Py_ssize_t *first,
                       Py_ssize_t *end) {
    Py_ssize_t at = *first;
    *end = at + BLOCK;
    while (*first > 0 && at - *first < most && (kinds_of[data[*first - 1]] & kind)) --*first;
    while (*end < length && (kinds_of[data[*end]] & kind)) ++*end;
}

/* Whether one to three LEET between letters begin here, behind a letter. */
static int leet_word(const unsigned char *data, Py_ssize_t length, Py_ssize_t at) {
    Py_ssize_t end = at;
    if (at == 0 || !(kinds_of[data[at - 1]] & LATIN)) return 0;
    while (end < length && end - at < 3 && (kinds_of[data[end]] & LEET)) end++;
    return end < length && (kinds_of[data[end]] & LATIN);
}

/* Where the next spaced-out letter stands, -1 where none follows. */
static Py_ssize_t next_unit(const unsigned char *data, Py_ssize_t length, Py_ssize_t at) {
    Py_ssize_t to = at + 1;
    if (to + 1 < length && data[to] == ' ' && (kinds_of[data[to + 1]] & UNIT)) return to + 1;
    if (to < length && data[to] == ' ') to++;
    if (to >= length || data[to] == ' ' || !(kinds_of[data[to]] & BREAK)) return -1;
    to++;
    if (to < length && data[to] == ' ') to++;
    return to < length && (kinds_of[data[to]] & UNIT) ? to : -1;
}

/* Whether a spaced-out letter with a break on either side has two more behind it. */
static int spaced(const unsigned char *data, Py_ssize_t length, Py_ssize_t at) {
    Py_ssize_t next = next_unit(data, length, at);
    return next >= 0 && next_unit(data, length, next) >= 0;
}

/* ---- pairs of hex digits that stand for text */

static inline int nibble(unsigned char sign) {
    if (sign >= '0' && sign <= '9') return sign - '0';
    return (sign | 32) >= 'a' && (sign | 32) <= 'f' ? (sign | 32) - 'a' + 10 : -1;
}

static inline int in_word(unsigned char sign) { return (kinds_of[sign] & LATIN) || nibble(sign) >= 0 || sign == '_'; }

/* Whether so many decoded bytes may be text: `payloads._printable` of them where they are all ASCII, else yes. */
static int may_be_text(const unsigned char *bytes, int count) {
    int good = 0;
    for (int at = 0; at < count; at++) {
        unsigned char byte = bytes[at];
        if (byte >= 128) return 1;
        good += (byte >= 32 && byte < 127) || byte == '\t' || byte == '\r' || byte == '\n';
    }
    return (double)good >= 0.95 * (double)count;
}

/* A match of the pattern of hex digits that begins with the whole word at `at`: where it ends, or `at` for none. Words
   of whole pairs, one sign at most between two pairs, PAIRS_LEAST of them; the decoded bytes of the sample go to
   `sample`, their count to `sampled`. */
static Py_ssize_t pairs_from(const unsigned char *data, Py_ssize_t length, Py_ssize_t at, unsigned char *sample,
                             int *sampled) {
    Py_ssize_t to = at, found = at, count = 0;
    *sampled = 0;
    if (length - at > 2 && data[at] == '0' && data[at + 1] == 'x') to += 2;
    while (to + 1 < length && nibble(data[to]) >= 0 && nibble(data[to + 1]) >= 0) {
        unsigned char byte = (unsigned char)(nibble(data[to]) * 16 + nibble(data[to + 1]));
        if (count < SAMPLE) sample[count] = byte;
        count++;
        to += 2;
        if (to >= length || !in_word(data[to])) {
            if (count >= PAIRS_LEAST) {
                found = to;
                *sampled = count < SAMPLE ? (int)count : SAMPLE;
            }
            if (to < length && (data[to] == ' ' || data[to] == ':' || data[to] == ',')) to++;
        }
    }
    return found;
}

/* Whether hex or binary digits that stand in [from, to), but for the 0x before them, may stand for text. */
static int coded_pairs(const unsigned char *data, Py_ssize_t length, Py_ssize_t from, Py_ssize_t to) {
    unsigned char sample[SAMPLE];
    int sampled;
    for (Py_ssize_t at = from > 2 ? from - 2 : 0; at < to;) {
        if (nibble(data[at]) < 0 || (at > 0 && in_word(data[at - 1]))) {
            at++;
            continue;
        }
        int binary = 0;
        while (binary < 8 && at + binary < length && (data[at + binary] == '0' || data[at + binary] == '1')) binary++;
        if (binary == 8) return 1;
        Py_ssize_t end = pairs_from(data, length, at, sample, &sampled);
        if (end > at && may_be_text(sample, sampled)) return 1;
        at = end > at ? end : at + 1;
    }
    return 0;
}

/* Eight characters' kinds in one number, the first one's lowest. */
static inline uint64_t kinds_at(const unsigned char *data) {
    uint64_t kinds = 0;
    for (int at = 0; at < BLOCK; at++) kinds |= (uint64_t)kinds_of[data[at]] << (8 * at);
    return kinds;
}

static inline int all_eight(uint64_t kinds) {
    kinds &= kinds >> 32;
    kinds &= kinds >> 16;
    return (int)(kinds & (kinds >> 8) & 255);
}

/* Whether one of [from, to) is where a disguised word shows. */
static int squeezed_within(const unsigned char *data, Py_ssize_t length, Py_ssize_t from, Py_ssize_t to) {
    for (Py_ssize_t at = from; at < to; at++) {
        int kind = kinds_of[data[at]], before = at > 0 ? kinds_of[data[at - 1]] : 0;
        int after = at + 1 < length ? kinds_of[data[at + 1]] : 0;
        if ((kind & LEET) && leet_word(data, length, at)) return 1;
        if ((kind & UNIT) && (before & after & BREAK) && spaced(data, length, at)) return 1;
    }
    return 0;
}

/* For ASCII text: 0 where `payloads`, `squeezing` and `hidden` cannot find anything, else bits of what they might.
   Eight characters at a time and without a branch for each: which way it goes cannot be foretold in a text. A run of
   SHORTEST_RUN holds eight such whole; what is behind the last eight is looked at one by one. */
static int looks(const unsigned char *data, Py_ssize_t length) {
    const uint64_t each = 0x0101010101010101u;
    uint64_t all = 0, last = 0;
    int squeezed = 0, base64 = 0, pairs = 0;
    Py_ssize_t at = 0, seen = 0; /* `seen`: where the last run of HEX ends */
    for (; at + BLOCK <= length; at += BLOCK) {
        uint64_t kinds = kinds_at(data + at), before = kinds << 8 | last;
        uint64_t next = at + BLOCK < length ? kinds_of[data[at + BLOCK]] : 0, after = kinds >> 8 | next << 56;
        uint64_t leet = (before << 1) & kinds & (each * LEET), apart = (before & after) >> 1 & kinds & (each * UNIT);
        int eight = all_eight(kinds);
        if ((eight & RUN) && !base64) {
            Py_ssize_t first = at, end;
            run_around(data, length, RUN, SHORTEST_RUN, &first, &end);
            base64 = end - first >= SHORTEST_RUN;
        }
        if ((eight & HEX) && !pairs && at >= seen) {
            Py_ssize_t first = at;
            run_around(data, length, HEX, at - seen, &first, &seen);
            pairs = seen - first >= SHORTEST_RUN && coded_pairs(data, length, first, seen);
        }
        if ((leet | apart) && !squeezed) squeezed = squeezed_within(data, length, at, at + BLOCK);
        all |= kinds;
        last = kinds >> 56;
    }
    if (!squeezed) squeezed = squeezed_within(data, length, at, length);
    for (; at < length; at++) all |= kinds_of[data[at]];
    return (all & (each * CONTROL) ? CONTROLS : 0) | (squeezed ? SQUEEZED : 0) | (all & (each * CODE) ? ESCAPED : 0) |
           (base64 ? BASE64 : 0) | (pairs ? PAIRS : 0);
}

/* The longest runs of what hex is written with, its x included, that are long enough for `payloads`. */
static PyObject *hex_runs(PyObject *module, PyObject *given) {
    Py_buffer view;
    (void)module;
    if (PyObject_GetBuffer(given, &view, PyBUF_SIMPLE) < 0) return NULL;
    const unsigned char *data = (const unsigned char *)view.buf;
    PyObject *list = PyList_New(0);
    Py_ssize_t start = 0;
    for (Py_ssize_t at = 0; list != NULL && at <= view.len; at++) {
        if (at < view.len && ((kinds_of[data[at]] & HEX) || data[at] == 'x')) continue;
        if (at - start >= SHORTEST_RUN) {
            PyObject *range = Py_BuildValue("(nn)", start, at);
            if (range == NULL || PyList_Append(list, range) < 0) Py_CLEAR(list);
            Py_XDECREF(range);
        }
        start = at + 1;
    }
    PyBuffer_Release(&view);
    return list;
}

static PyObject *needs(PyObject *module, PyObject *given) {
    Py_buffer view;
    (void)module;
    if (PyObject_GetBuffer(given, &view, PyBUF_SIMPLE) < 0) return NULL;
    int found = looks((const unsigned char *)view.buf, view.len);
    PyBuffer_Release(&view);
    return PyLong_FromLong(found);
}

static PyMethodDef methods[] = {
    {"hex_runs", hex_runs, METH_O, "Ranges of bytes that may be pairs of hex digits."},
    {"needs", needs, METH_O, "Bits of what an ASCII text may hold: control characters, encodings, disguised words."},
    {"around_digits", around_digits, METH_VARARGS, "Ranges of bytes around ASCII digits, how many each has, and where the last of them ends."},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *module) {
    learn_kinds();
    PyObject *type = PyType_FromSpec(&model_spec);
    if (type == NULL) return -1;
    int failed = PyModule_AddObjectRef(module, "Model", type);
    Py_DECREF(type);
    if (failed < 0 || PyModule_AddIntConstant(module, "API", API) < 0) return -1;
    return PyModule_AddStringConstant(module, "SOURCE", SOURCE);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)prepare}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_scan", "See scan.c.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__scan(void) { return PyModuleDef_Init(&definition); }
