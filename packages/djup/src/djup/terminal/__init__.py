"""What a person reads and answers: words, questions, progress, flags."""
