/* Octavo's runtime for C and for every language that calls C: loads a quantized (QDQ) or float ONNX
 * classifier and runs it. A model may be shared by threads; each thread runs it with a context of its own. */
#ifndef OCTAVO_H
#define OCTAVO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call came to. The values are also the exit codes of the octavo command. */
typedef enum octavo_status {
  OCTAVO_OK = 0,
  OCTAVO_USAGE = 2,       /* An argument makes no sense. */
  OCTAVO_BAD_INPUT = 3,   /* The file or the sizes are wrong. */
  OCTAVO_UNSUPPORTED = 4, /* A model that Octavo cannot run. */
  OCTAVO_IO = 5,          /* No such file, no permission. */
  OCTAVO_INTERNAL = 70    /* A bug in Octavo, or out of memory. */
} octavo_status;

/* What a run reads. */
typedef enum octavo_input {
  OCTAVO_PIXELS_NHWC =
      0, /* uint8, [batch, height, width, channels]; normalized as the file's metadata say. */
  OCTAVO_PIXELS_NCHW =
      1,                 /* uint8, [batch, channels, height, width]; normalized as the file's metadata say. */
  OCTAVO_FLOATS_NCHW = 2 /* float, [batch, channels, height, width]; normalized by the caller. */
} octavo_input;

typedef struct octavo_options {
  int64_t max_batch; /* Largest batch of one run; 0: 1. */
  int threads;       /* Of one run; 0: as many as the process may use. */
  octavo_input input;
  const float* mean; /* One per channel, in units of pixel / 255; NULL: from the file. */
  const float* std;  /* One per channel; NULL: from the file. */
} octavo_options;

typedef struct octavo_model octavo_model;
typedef struct octavo_context octavo_context;

/* "0.1.0" */
const char* octavo_version(void);
/* Why this thread's last call that did not return OCTAVO_OK failed; valid until its next call. */
const char* octavo_last_error(void);

/* Reads and compiles a model. options may be NULL: all zero. On failure *model is NULL. */
octavo_status octavo_model_load(const char* file, const octavo_options* options, octavo_model** model);
/* The same of a file that is in memory already. */
octavo_status octavo_model_parse(const void* bytes, size_t size, const octavo_options* options,
                                 octavo_model** model);
/* Frees a model without contexts. NULL is allowed. */
void octavo_model_free(octavo_model* model);

int64_t octavo_model_channels(const octavo_model* model);
int64_t octavo_model_height(const octavo_model* model);
int64_t octavo_model_width(const octavo_model* model);
int64_t octavo_model_classes(const octavo_model* model);
int64_t octavo_model_max_batch(const octavo_model* model);
/* "int8" or "fp32". */
const char* octavo_model_precision(const octavo_model* model);
/* Of a label from 0; NULL if the file names no such class. */
const char* octavo_model_class_name(const octavo_model* model, int64_t label);

/* Scratch memory of one caller. The model must outlive it. On failure *context is NULL. */
octavo_status octavo_context_create(const octavo_model* model, octavo_context** context);
void octavo_context_free(octavo_context* context);

/* Runs `batch` images, 1 to max_batch, laid out as octavo_options.input says, and writes logits
 * [batch, classes]. */
octavo_status octavo_run(octavo_context* context, const void* images, int64_t batch, float* logits);

#ifdef __cplusplus
}
#endif

#endif
