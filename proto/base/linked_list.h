// LinkedList: a list without memory of its own: its objects are Linked. An object leaves its list in constant time, at
// the latest when it dies.
#pragma once

namespace hostcall {

// Base of the objects in a list; each is in one list at a time, or in none.
class Linked {
 public:
  Linked() = default;
  ~Linked() { unlink(); }
  Linked(const Linked&) = delete;
  Linked& operator=(const Linked&) = delete;

  bool is_linked() const { return next_ != this; }
  // Leaves the list that it is in, if it is in one.
  void unlink() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

 private:
  template <class Object>
  friend class LinkedList;
  void link_before(Linked& next) {
    previous_ = next.previous_;
    next_ = &next;
    previous_->next_ = next.previous_ = this;
  }

  Linked* previous_ = this;
  Linked* next_ = this;
};

// The objects are not owned.
template <class Object>
class LinkedList {
 public:
  bool empty() const { return !ends_.is_linked(); }
  // The object leaves the list that it was in.
  void push_back(Object& object) {
    Linked& link = object;
    link.unlink();
    link.link_before(ends_);
  }
  void push_front(Object& object) {
    Linked& link = object;
    link.unlink();
    link.link_before(*ends_.next_);
  }
  // Null: the list is empty.
  Object* front() { return empty() ? nullptr : static_cast<Object*>(ends_.next_); }
  // Removes the first object. Null: the list is empty.
  Object* pop_front() {
    if (empty()) return nullptr;
    auto* first = ends_.next_;
    first->unlink();
    return static_cast<Object*>(first);
  }
  // Moves all objects of the other list behind those of this one.
  void append(LinkedList& other) {
    if (other.empty()) return;
    auto& theirs = other.ends_;
    theirs.next_->previous_ = ends_.previous_;
    ends_.previous_->next_ = theirs.next_;
    theirs.previous_->next_ = &ends_;
    ends_.previous_ = theirs.previous_;
    theirs.previous_ = theirs.next_ = &theirs;
  }

 private:
  Linked ends_;  // before the first object and behind the last
};

}  // namespace hostcall
