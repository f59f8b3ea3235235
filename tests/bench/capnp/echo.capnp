# What the other systems' echo programs do, for Cap'n Proto.
@0xb3c1a6f0d4e59287;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("bench");

interface Echo {
  call @0 (data :Data) -> (data :Data);
  # Sends chunks to the sink and returns when it has taken all.
  source @1 (bytes :UInt64, chunk :UInt32, sink :Sink) -> ();
  # A sink that counts.
  sink @2 () -> (sink :Sink);
}

interface Sink {
  chunk @0 (data :Data) -> stream;
  done @1 () -> (bytes :UInt64);
}
