/* classify_in_c MODEL.onnx IMAGES.bin: the label of each image, a line each; the status as exit code. */
#include <stdio.h>
#include <stdlib.h>

#include "octavo.h"

static int fail(octavo_status status) {
  fprintf(stderr, "%s\n", octavo_last_error());
  return (int)status;
}

int main(int argc, char** argv) {
  octavo_model* model = NULL;
  octavo_context* context = NULL;
  octavo_status status;
  FILE* file;
  unsigned char* image;
  float* logits;
  size_t size;
  if (argc != 3) return OCTAVO_USAGE;
  status = octavo_model_load(argv[1], NULL, &model);
  if (status != OCTAVO_OK) return fail(status);
  status = octavo_context_create(model, &context);
  if (status != OCTAVO_OK) return fail(status);
  size = (size_t)(octavo_model_height(model) * octavo_model_width(model) * octavo_model_channels(model));
  image = malloc(size);
  logits = malloc((size_t)octavo_model_classes(model) * sizeof(float));
  file = fopen(argv[2], "rb");
  if (!image || !logits || !file) return OCTAVO_IO;
  while (fread(image, 1, size, file) == size) {
    int64_t best = 0, i;
    status = octavo_run(context, image, 1, logits);
    if (status != OCTAVO_OK) return fail(status);
    for (i = 1; i < octavo_model_classes(model); ++i) {
      if (logits[i] > logits[best]) best = i;
    }
    printf("%s\n", octavo_model_class_name(model, best));
  }
  fclose(file);
  free(logits);
  free(image);
  octavo_context_free(context);
  octavo_model_free(model);
  return OCTAVO_OK;
}
