/// Where connections come in.
#pragma once

#include <string>

namespace octavo::serve {

/// A file descriptor that is closed with it.
class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// A socket that listens on the first address of `host` that can be had; port 0: any that is free. Throws
/// kIo: no such host, not allowed, taken.
Descriptor listen_on(const std::string& host, int port);
/// The port it has.
int port_of(const Descriptor& socket);

/// Something that can be waited for in poll(), and is once, for all who wait: at the end.
class EndSignal {
 public:
  /// Throws kIo if the system has no descriptors left.
  EndSignal();
  void give();
  int get() const { return event_.get(); }

 private:
  Descriptor event_;
};

}  // namespace octavo::serve
