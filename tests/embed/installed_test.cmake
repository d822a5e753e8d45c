# Installs the library and what applications are built with into WORK, builds examples/classify against it and classifies
# a picture.
include(${CMAKE_CURRENT_LIST_DIR}/../install/installing.cmake)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/files)
install_into_prefix(runtime development)
run(${CMAKE_COMMAND} -S ${SOURCE_DIR}/examples/classify -B ${WORK}/build -D CMAKE_PREFIX_PATH=${WORK}/prefix
    -D CMAKE_CXX_COMPILER=${CXX} "-D CMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
run(${CMAKE_COMMAND} --build ${WORK}/build)

run(${MAKE_FILES} ${WORK}/files)
string(REPEAT "octavo" 128 pixels)  # 768 bytes: 16 x 16 x 3
file(WRITE ${WORK}/files/picture.ppm "P6 16 16 255\n${pixels}")
run(${WORK}/build/classify ${WORK}/files/int8.onnx ${WORK}/files/picture.ppm)
if(NOT out MATCHES "picture.ppm: (zero|one|two|three|four|five|six|seven|eight|nine) \\([0-9.]+ %\\)")
  message(FATAL_ERROR "the example printed:\n${out}")
endif()

file(WRITE ${WORK}/files/wrong.ppm "P6 15 16 255\n${pixels}")
execute_process(COMMAND ${WORK}/build/classify ${WORK}/files/int8.onnx ${WORK}/files/wrong.ppm
  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
if(NOT code EQUAL 3)
  message(FATAL_ERROR "a picture of the wrong size ended with ${code}:\n${out}")
endif()

run(ldd ${WORK}/build/classify)
if(NOT out MATCHES "liboctavo" OR out MATCHES "torch|c10|not found")
  message(FATAL_ERROR "the example depends on:\n${out}")
endif()
