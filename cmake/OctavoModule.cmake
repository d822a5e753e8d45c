# What every module of Octavo shares: warnings, sanitizers, include folder, alias and install rules.
include(GNUInstallDirs)

add_library(octavo_options INTERFACE)
target_compile_options(octavo_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                                -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 warns of overlapping copies in std::string's operator+ that cannot happen (its bug 105651).
  target_compile_options(octavo_options INTERFACE -Wno-restrict)
endif()
# Bit-exactness between kernels and the reference needs every float operation rounded on its own: no contraction to FMA
# unless a kernel asks for it by intrinsic.
target_compile_options(octavo_options INTERFACE -ffp-contract=off)
if(OCTAVO_WARNINGS_AS_ERRORS)
  target_compile_options(octavo_options INTERFACE -Werror)
endif()
if(OCTAVO_SANITIZE)
  target_compile_options(octavo_options INTERFACE -fsanitize=${OCTAVO_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(octavo_options INTERFACE -fsanitize=${OCTAVO_SANITIZE})
endif()

# octavo_add_module(name SOURCES ... [PUBLIC targets...] [PRIVATE targets...])
# Makes the library octavo_<name>, known to others as octavo::<name>.
function(octavo_add_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(octavo_${name} STATIC ${arg_SOURCES})
  add_library(octavo::${name} ALIAS octavo_${name})
  set_target_properties(octavo_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(octavo_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                   $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(octavo_${name} PUBLIC cxx_std_20)
  target_link_libraries(octavo_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:octavo_options>)
endfunction()

# octavo_add_test(name SOURCES ... LIBS ...): one GoogleTest program, each of its tests known to CTest.
function(octavo_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LIBS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} octavo_options GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${arg_TIMEOUT})
endfunction()
