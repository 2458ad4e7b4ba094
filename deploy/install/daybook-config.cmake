# find_package(daybook) gives
#
#   daybook::daybook   the library: the shared one, or, with DAYBOOK_USE_STATIC_LIBS set to a true value before, the static
#                      one, which still links the system's gRPC as a shared library
#   daybook::shared, daybook::static   each of the two by name
#   DAYBOOK_PROTOS     the folder with Daybook's own protos, for IMPORT_DIRS
#
#   daybook_generate(TARGET name PROTOS file.proto... [IMPORT_DIRS folder...])
#                      a static library of C from protos: <stem>.upb.h with the messages and <stem>.grpc.h with clients
#                      and servers. The first import folder that holds a proto is the root of its name: with
#                      `PROTOS protos/shop/v1/orders.proto IMPORT_DIRS protos` its header is "shop/v1/orders.grpc.h".
#                      Without IMPORT_DIRS it is the current source folder.
if(CMAKE_VERSION VERSION_LESS 3.16)
  set(daybook_FOUND FALSE)
  set(daybook_NOT_FOUND_MESSAGE "daybook needs CMake 3.16")
  return()
endif()

get_filename_component(_daybook_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(DAYBOOK_PROTOS "${_daybook_prefix}/share/daybook/protos")

find_program(DAYBOOK_PROTOC protoc DOC "The protobuf compiler")
if(NOT DAYBOOK_PROTOC)
  set(daybook_FOUND FALSE)
  set(daybook_NOT_FOUND_MESSAGE "daybook needs protoc (Debian: protobuf-compiler)")
  return()
endif()

include(CMakeFindDependencyMacro)
find_dependency(Threads)

if(NOT TARGET daybook::shared)
  set(_daybook_includes "${_daybook_prefix}/include" "${_daybook_prefix}/include/daybook/upb-29")

  # Generated code calls upb by itself, hence it is named beside the shared library.
  add_library(daybook::shared SHARED IMPORTED)
  set_target_properties(daybook::shared PROPERTIES
    IMPORTED_LOCATION "${_daybook_prefix}/lib/libdaybook.so.@VERSION@"
    IMPORTED_SONAME "libdaybook.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "${_daybook_includes}"
    INTERFACE_LINK_LIBRARIES "upb")

  add_library(daybook::static STATIC IMPORTED)
  set_target_properties(daybook::static PROPERTIES
    IMPORTED_LOCATION "${_daybook_prefix}/lib/libdaybook.a"
    IMPORTED_LINK_INTERFACE_LANGUAGES "C"
    INTERFACE_INCLUDE_DIRECTORIES "${_daybook_includes}"
    INTERFACE_LINK_LIBRARIES "grpc;gpr;upb;ssl;crypto;Threads::Threads")

  add_library(daybook::daybook INTERFACE IMPORTED)
  if(DAYBOOK_USE_STATIC_LIBS)
    set_property(TARGET daybook::daybook PROPERTY INTERFACE_LINK_LIBRARIES daybook::static)
  else()
    set_property(TARGET daybook::daybook PROPERTY INTERFACE_LINK_LIBRARIES daybook::shared)
  endif()

  add_executable(daybook::protoc-gen-upb IMPORTED)
  set_property(TARGET daybook::protoc-gen-upb PROPERTY IMPORTED_LOCATION "${_daybook_prefix}/bin/protoc-gen-upb")
  add_executable(daybook::protoc-gen-grpc-c IMPORTED)
  set_property(TARGET daybook::protoc-gen-grpc-c PROPERTY IMPORTED_LOCATION "${_daybook_prefix}/bin/protoc-gen-grpc-c")
  unset(_daybook_includes)
endif()
unset(_daybook_prefix)

function(daybook_generate)
  cmake_parse_arguments(PARSE_ARGV 0 argument "" "TARGET" "PROTOS;IMPORT_DIRS")
  if(NOT argument_TARGET OR NOT argument_PROTOS OR argument_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "daybook_generate(TARGET name PROTOS file.proto... [IMPORT_DIRS folder...])")
  endif()
  if(NOT argument_IMPORT_DIRS)
    set(argument_IMPORT_DIRS "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()

  set(roots "")
  set(paths "")
  foreach(folder IN LISTS argument_IMPORT_DIRS)
    get_filename_component(root "${folder}" ABSOLUTE)
    list(APPEND roots "${root}")
    list(APPEND paths "--proto_path=${root}")
  endforeach()

  set(output "${CMAKE_CURRENT_BINARY_DIR}/${argument_TARGET}")
  file(MAKE_DIRECTORY "${output}")
  set(sources "")
  foreach(proto IN LISTS argument_PROTOS)
    get_filename_component(file "${proto}" ABSOLUTE)
    set(name "")
    foreach(root IN LISTS roots)
      string(FIND "${file}" "${root}/" at)
      if(at EQUAL 0 AND NOT name)
        file(RELATIVE_PATH name "${root}" "${file}")
      endif()
    endforeach()
    if(NOT name)
      message(FATAL_ERROR "daybook_generate: ${proto} is below none of the IMPORT_DIRS: ${argument_IMPORT_DIRS}")
    endif()
    string(REGEX REPLACE "\\.proto$" "" stem "${name}")
    set(made "${output}/${stem}.upb.h" "${output}/${stem}.upb.c" "${output}/${stem}.grpc.h" "${output}/${stem}.grpc.c")
    add_custom_command(
      OUTPUT ${made}
      COMMAND "${DAYBOOK_PROTOC}" ${paths}
        "--plugin=protoc-gen-upb=$<TARGET_FILE:daybook::protoc-gen-upb>" "--upb_out=${output}"
        "--plugin=protoc-gen-grpc-c=$<TARGET_FILE:daybook::protoc-gen-grpc-c>" "--grpc-c_out=${output}"
        "${file}"
      DEPENDS "${file}" daybook::protoc-gen-upb daybook::protoc-gen-grpc-c
      COMMENT "Generating C from ${name}"
      VERBATIM)
    list(APPEND sources ${made})
  endforeach()

  add_library(${argument_TARGET} STATIC ${sources})
  set_property(TARGET ${argument_TARGET} PROPERTY POSITION_INDEPENDENT_CODE ON)
  # upb's generator writes what a compiler may warn of; that is no business of the program.
  target_compile_options(${argument_TARGET} PRIVATE -w)
  target_include_directories(${argument_TARGET} SYSTEM PUBLIC "${output}")
  target_link_libraries(${argument_TARGET} PUBLIC daybook::daybook)
endfunction()
