// What the other systems' echo programs do, for Thrift, which has no streams.
namespace cpp bench

service Echo {
  binary echo(1: binary data)
}
